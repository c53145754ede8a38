// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/dp_sgd.h"

#include <gtest/gtest.h>

#include "protocols/privacy/pld_accountant.h"

namespace cloister::privacy {
namespace {

TEST(DpSgdTest, AnEpochExpectsEachPatientOnce) {
  EXPECT_EQ(StepsOfEpoch(100, 10), 10u);
  EXPECT_EQ(StepsOfEpoch(101, 10), 11u);
  EXPECT_EQ(StepsOfEpoch(9, 10), 1u);
  const SampledGaussian some = DpSgd(105, 10, 3, 1.1).value();
  EXPECT_DOUBLE_EQ(some.sampling_probability, 10.0 / 105);
  EXPECT_EQ(some.steps, 33u);
  EXPECT_EQ(some.noise_multiplier, 1.1);
  const SampledGaussian all = DpSgd(9, 10, 3, 1.1).value();
  EXPECT_EQ(all.sampling_probability, 1);
  EXPECT_EQ(all.steps, 3u);
}

// The reference values of the accountant, reached from a training: 1000 steps at a rate of 0.01, 200 at 0.1, 500 at
// 0.04, one step of everybody, and 50.
TEST(DpSgdTest, ATrainingsEpsilonIsThatOfTheReference) {
  struct Gold {
    uint64_t patients, batch_size, epochs;
    double noise_multiplier, delta, epsilon;
  };
  const Gold kGold[] = {{1600, 16, 10, 1, 1e-5, 1.828244},
                        {160, 16, 20, 2, 1e-5, 3.359661},
                        {400, 16, 20, 1.1, 1e-5, 4.904778},
                        {12, 16, 1, 1, 1e-5, 4.377178},
                        {16, 16, 50, 5, 1e-6, 7.286081}};
  for (const Gold& gold : kGold) {
    const auto mechanism = DpSgd(gold.patients, gold.batch_size, gold.epochs, gold.noise_multiplier);
    ASSERT_TRUE(mechanism.ok()) << mechanism.status();
    EXPECT_NEAR(PldEpsilon(*mechanism, gold.delta).value(), gold.epsilon, 1e-4) << gold.patients;
  }
}

TEST(DpSgdTest, RefusesWhatIsNoTraining) {
  EXPECT_FALSE(DpSgd(0, 10, 1, 1).ok());
  EXPECT_FALSE(DpSgd(10, 0, 1, 1).ok());
  EXPECT_FALSE(DpSgd(10, 10, 0, 1).ok());
  EXPECT_FALSE(DpSgd(10, 10, 1, 0).ok());
  EXPECT_FALSE(DpSgd(uint64_t{1} << 40, 2, uint64_t{1} << 40, 1).ok());  // the product would overflow
}

}  // namespace
}  // namespace cloister::privacy
