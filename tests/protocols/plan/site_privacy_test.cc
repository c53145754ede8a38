// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/site_privacy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "protocols/plan/quantization.h"
#include "protocols/privacy/distributed_gaussian.h"
#include "protocols/privacy/rdp_accountant.h"

namespace cloister::plan {
namespace {

using ::testing::HasSubstr;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

// The mechanism of the gold values: ten honest shares, z = 10, 100 rounds, delta 1e-5.
Experiment GoldPlan() {
  Experiment experiment;
  experiment.model.parameters = uint64_t{1} << 20;
  experiment.algorithm.rounds = 100;
  experiment.sites.minimum = 10;
  experiment.sites.maximum = 64;
  experiment.privacy.ring_bits = 24;
  experiment.privacy.differential_privacy = DifferentialPrivacy{kSiteUnit, 10, 1, 1e-5, 5};
  return experiment;
}

TEST(SiteNoiseTest, SharesOfTheSmallestHonestCohortMakeTheNoiseOfThePlan) {
  for (const int bits : {24, 32, 64}) {
    for (const int minimum : {3, 4, 7, 10, 30}) {
      for (int colluders = 0; colluders <= (minimum - 1) / 3; ++colluders) {
        Experiment experiment = GoldPlan();
        experiment.privacy.ring_bits = bits;
        experiment.sites.minimum = minimum;
        experiment.privacy.colluders = colluders;
        const auto noise = SiteNoiseOf(experiment);
        ASSERT_TRUE(noise.ok()) << noise.status();
        EXPECT_EQ(noise->shares, static_cast<uint64_t>(minimum - colluders));
        const double wanted = 10 * noise->quantizer.scale;  // noise_multiplier * clip_norm, in units
        const double sigma = std::sqrt(static_cast<double>(noise->shares)) * noise->local_sigma();
        EXPECT_GE(sigma, wanted * (1 - 1e-12));
        EXPECT_LE(sigma, wanted * 1.0001);  // the variance is rounded up by one at most, and is at least 10^4
        EXPECT_GE(noise->local_sigma(), privacy::kMinLocalSigma);
      }
    }
  }
}

// The guard trips exactly where updates and eight deviations of all sites' noise would leave the ring.
TEST(SiteNoiseTest, TheGridIsTheFinestWithRoomForEverySitesNoise) {
  const Experiment experiment = GoldPlan();
  const SiteNoise noise = SiteNoiseOf(experiment).value();
  EXPECT_TRUE(noise.quantizer.Check().ok());
  EXPECT_EQ(noise.quantizer.slack, static_cast<uint64_t>(std::ceil(8 * noise.local_sigma() * 8)));  // sqrt(64) = 8
  EXPECT_LT(64 * noise.quantizer.scale + 64 * noise.local_sigma(), 0x1p23);
  EXPECT_GE(2 * (64 * noise.quantizer.scale + 64 * noise.local_sigma()), 0x1p23);
  update::QuantPlan finer = noise.quantizer;
  finer.scale *= 2;
  finer.slack *= 2;
  EXPECT_EQ(finer.Check().code(), kPrecondition);
  const update::Layout layout = update::Layout::Create({{"a", {1 << 19}}, {"b", {1 << 19}}}).value();
  const update::QuantMap map = QuantizerOf(experiment, layout).value();
  ASSERT_EQ(map.segments().size(), 1u) << "one scale for all tensors";
  EXPECT_EQ(map.segments()[0].plan.scale, noise.quantizer.scale);
  EXPECT_EQ(map.segments()[0].plan.slack, noise.quantizer.slack);
}

TEST(SiteNoiseTest, RunningVariancesAreNoPlaceForNoise) {
  const update::Layout layout = update::Layout::Create({{"bn.running_var", {4}}, {"fc.weight", {4}}}).value();
  Experiment experiment = GoldPlan();
  experiment.model.parameters = 8;
  const absl::Status refused = CheckUpdates(experiment, layout);
  EXPECT_EQ(refused.code(), kPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("\"bn.running_var\""));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("_gn"));
  experiment.privacy.differential_privacy.reset();
  EXPECT_TRUE(CheckUpdates(experiment, layout).ok());
}

TEST(SiteNoiseTest, ARingWithoutRoomForNoiseIsRefusedWithTheNumbers) {
  Experiment experiment = GoldPlan();
  experiment.privacy.ring_bits = 16;
  experiment.privacy.differential_privacy->noise_multiplier = 1;  // 64 (2^8 + 81 * 8 / 8) fit, twice as much does not
  const absl::Status refused = SiteNoiseOf(experiment).status();
  EXPECT_EQ(refused.code(), kPrecondition);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("a share of noise 81 units of a ring of 16 bits; it must have 100"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("64 updates"));
  experiment.sites.maximum = 10;
  EXPECT_TRUE(SiteNoiseOf(experiment).ok());
  experiment.model.parameters = 0;
  EXPECT_EQ(SiteNoiseOf(experiment).status().code(), absl::StatusCode::kInvalidArgument);
  experiment.privacy.differential_privacy->unit = kPatientUnit;
  EXPECT_EQ(SiteNoiseOf(experiment).status().code(), absl::StatusCode::kInvalidArgument);
  experiment.privacy.differential_privacy.reset();
  EXPECT_EQ(SiteNoiseOf(experiment).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SiteEpsilonTest, IsTheGoldValue) {
  const Experiment experiment = GoldPlan();
  const SiteNoise noise = SiteNoiseOf(experiment).value();
  EXPECT_EQ(noise.quantizer.scale, 0x1p14);
  const privacy::DistributedGaussian mechanism{noise.most_norm, experiment.model.parameters, noise.local_sigma(),
                                               noise.shares, 100};
  // The gold value takes whole orders only; more orders prove a little less.
  std::vector<double> orders;
  for (int order = 2; order <= 256; ++order) orders.push_back(order);
  const double gold =
      privacy::EpsilonOfRdp(orders, privacy::DistributedGaussianRdp(mechanism, orders).value(), 1e-5).value();
  EXPECT_NEAR(gold, 4.75533, 1e-5);
  const double epsilon = SiteEpsilon(experiment, 100).value();
  EXPECT_EQ(epsilon, privacy::DistributedGaussianEpsilon(mechanism, 1e-5).value());
  EXPECT_LE(epsilon, gold);
  EXPECT_GE(epsilon, privacy::RdpEpsilon({1, 10, 100}, 1e-5).value()) << "the grid gives nothing away for free";
}

TEST(SiteEpsilonTest, GrowsWithRoundsAndParametersAndFallsWithNoise) {
  Experiment experiment = GoldPlan();
  const double epsilon = SiteEpsilon(experiment, 100).value();
  EXPECT_GT(SiteEpsilon(experiment, 101).value(), epsilon);
  EXPECT_LT(SiteEpsilon(experiment, 99).value(), epsilon);
  EXPECT_EQ(SiteEpsilon(experiment, 0).status().code(), absl::StatusCode::kInvalidArgument);
  experiment.model.parameters <<= 8;
  EXPECT_GT(SiteEpsilon(experiment, 100).value(), epsilon) << "rounding weighs more";
  experiment.model.parameters >>= 8;
  experiment.privacy.differential_privacy->noise_multiplier = 11;
  EXPECT_LT(SiteEpsilon(experiment, 100).value(), epsilon);
}

TEST(SiteEpsilonTest, APlanThatCostsMoreThanItAllowsIsRefusedWithTheNumbers) {
  Experiment experiment = GoldPlan();
  EXPECT_TRUE(CheckSiteEpsilon(experiment).ok());
  experiment.privacy.differential_privacy->max_epsilon = 4.7313;
  const absl::Status refused = CheckSiteEpsilon(experiment);
  EXPECT_EQ(refused.code(), kPrecondition);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("100 rounds with noise_multiplier 10 cost a site epsilon 4.73"));
  experiment.privacy.differential_privacy->max_epsilon = 4.7314;
  EXPECT_TRUE(CheckSiteEpsilon(experiment).ok());
  experiment.privacy.differential_privacy->unit = kPatientUnit;
  experiment.privacy.differential_privacy->max_epsilon = 0.001;
  EXPECT_TRUE(CheckSiteEpsilon(experiment).ok()) << "not of this unit";
}

}  // namespace
}  // namespace cloister::plan
