// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/quantization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister::plan {
namespace {

using ::testing::HasSubstr;

update::Layout SomeLayout() {
  return update::Layout::Create({{"bn.running_var", {4}}, {"conv.weight", {3, 3}}}).value();
}

Experiment PlanFor(int ring_bits, double clip, int maximum) {
  Experiment experiment;
  experiment.privacy.ring_bits = ring_bits;
  experiment.privacy.clip = clip;
  experiment.sites.maximum = maximum;
  return experiment;
}

std::string Refusal(const Experiment& experiment) {
  const absl::Status status = QuantizerOf(experiment, SomeLayout()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  return std::string(status.message());
}

TEST(QuantizerOfTest, TheDefaultsFitAllRingsButTheNarrowest) {
  for (const int bits : {24, 32, 64}) {
    const auto map = QuantizerOf(PlanFor(bits, 16, 64), SomeLayout());
    ASSERT_TRUE(map.ok()) << map.status();
    EXPECT_EQ(map->segments().size(), 1u);
    EXPECT_EQ(map->ring_bits(), static_cast<uint32_t>(bits));
    EXPECT_EQ(map->sites(), 64u);
  }
  // 64 sites, 2^15: a scale of 16, steps of 1/16.
  EXPECT_THAT(Refusal(PlanFor(16, 16, 64)),
              HasSubstr("a bound of 16 for up to 64 sites leaves steps of 0.0625 in a ring "
                        "of 16 bits, 256 up to the bound"));
}

// 7 sites of bound 1: 7 * 2^12 = 28672 < 2^15, the scale 2^12; of bound 8 the step is 2^-9. The limits are exact.
TEST(QuantizerOfTest, AStepIsTooCoarseExactlyBeyondItsLimit) {
  EXPECT_TRUE(QuantizerOf(PlanFor(16, 63.9, 7), SomeLayout()).ok());  // 7 * 4090 < 2^15: steps of 2^-6
  EXPECT_EQ(QuantizerOf(PlanFor(16, 63.9, 7), SomeLayout())->segments()[0].plan.step(), kCoarsestStep);
  EXPECT_THAT(Refusal(PlanFor(16, 74, 7)), HasSubstr("steps of 0.03125"));
  // A tensor's own bound may have any step, so long as there are enough of them.
  Experiment experiment = PlanFor(16, 1, 7);
  experiment.privacy.tensor_clips = {{"*.running_var", 1000}};
  const auto map = QuantizerOf(experiment, SomeLayout());
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->segments()[0].plan.step(), 0.25);
  EXPECT_EQ(map->segments()[1].plan.clip, 1);
  experiment.privacy.tensor_clips = {{"*.running_mean", 1000}};
  EXPECT_THAT(Refusal(experiment), HasSubstr("no tensor of the model is called \"*.running_mean\""));
  // 500 sites leave 65 units to each, so 64 steps; 512 leave 63.
  experiment = PlanFor(16, 1, 500);
  EXPECT_TRUE(QuantizerOf(experiment, SomeLayout()).ok());
  experiment.sites.maximum = 512;
  EXPECT_THAT(Refusal(experiment), HasSubstr("32 up to the bound; wanted are 64 steps"));
  experiment.sites.maximum = 40'000;
  EXPECT_THAT(Refusal(experiment), HasSubstr("need a ring of more than 16 bits"));
}

}  // namespace
}  // namespace cloister::plan
