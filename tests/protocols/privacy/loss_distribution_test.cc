// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/loss_distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace cloister::privacy {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Randomized response that tells the truth with odds exp(step * interval) : 1.
LossDistribution RandomizedResponse(double interval, int64_t step) {
  const double truth = 1 / (1 + std::exp(-interval * static_cast<double>(step)));
  LossDistribution::Grid grid{interval, -step, std::vector<double>(2 * static_cast<size_t>(step) + 1), 0};
  grid.masses.front() = 1 - truth;
  grid.masses.back() = truth;
  return LossDistribution::Create(std::move(grid)).value();
}

// Its delta after `times` rounds, from the binomial distribution.
double ExactDelta(double loss, int times, double epsilon) {
  const double truth = 1 / (1 + std::exp(-loss));
  double delta = 0;
  for (int lies = 0; lies <= times; ++lies) {
    const double log_mass = std::lgamma(times + 1) - std::lgamma(lies + 1) - std::lgamma(times - lies + 1) +
                            lies * std::log1p(-truth) + (times - lies) * std::log(truth);
    const double total = (times - 2 * lies) * loss;
    if (total > epsilon) delta += std::exp(log_mass) * -std::expm1(epsilon - total);
  }
  return delta;
}

TEST(LossDistributionTest, OneRoundOfRandomizedResponse) {
  const LossDistribution once = RandomizedResponse(0.25, 4);
  // delta(epsilon) = truth * (1 - exp(epsilon - 1))
  for (const double epsilon : {0.0, 0.1, 0.5, 0.75, 0.99}) {
    EXPECT_NEAR(once.EpsilonFor(ExactDelta(1, 1, epsilon)).value(), epsilon, 1e-12) << epsilon;
  }
  EXPECT_NEAR(once.EpsilonFor(1e-15).value(), 1, 1e-12);
  EXPECT_EQ(once.EpsilonFor(0.9).value(), 0);
}

TEST(LossDistributionTest, ComposedRandomizedResponseIsBinomial) {
  for (const int times : {2, 3, 10, 200}) {
    const LossDistribution composed = RandomizedResponse(0.01, 13).SelfCompose(times).value();
    for (const double delta : {1e-9, 1e-6, 1e-3, 0.1}) {
      const double epsilon = composed.EpsilonFor(delta).value();
      if (epsilon == 0) {
        EXPECT_LE(ExactDelta(0.13, times, 0), delta);
        continue;
      }
      // On the safe side, by no more than the truncated mass.
      const double exact = ExactDelta(0.13, times, epsilon);
      EXPECT_LE(exact, delta * (1 + 1e-9)) << times << " " << delta;
      EXPECT_GE(exact, delta - 4 * LossDistribution::kTruncatedMass * times - 1e-9 * delta) << times << " " << delta;
    }
  }
}

TEST(LossDistributionTest, InfiniteLossesAddUp) {
  const auto leaky = LossDistribution::Create({0.1, 0, {0.999}, 0.001}).value();
  EXPECT_EQ(leaky.EpsilonFor(0.0009).value(), kInfinity);
  EXPECT_EQ(leaky.EpsilonFor(0.0011).value(), 0);
  const double twice = 1 - 0.999 * 0.999;
  const LossDistribution composed = leaky.SelfCompose(2).value();
  EXPECT_EQ(composed.EpsilonFor(twice - 1e-9).value(), kInfinity);
  EXPECT_EQ(composed.EpsilonFor(twice + 1e-9).value(), 0);
}

TEST(LossDistributionTest, OneStepIsTheDistributionItself) {
  const LossDistribution once = RandomizedResponse(0.5, 2);
  EXPECT_EQ(once.SelfCompose(1).value().EpsilonFor(1e-20).value(), once.EpsilonFor(1e-20).value());
}

TEST(LossDistributionTest, LossesBeyondTheRangeOfExponentialsAreNoInfinities) {
  const auto far = LossDistribution::Create({10, 100, {0.5, 0.5}, 0}).value();
  EXPECT_NEAR(far.EpsilonFor(1e-6).value(), 1010, 1e-5);
}

TEST(LossDistributionTest, WhatSpansTooManyPointsIsRefused) {
  const LossDistribution wide = RandomizedResponse(1e-3, 100000);
  EXPECT_EQ(wide.SelfCompose(1000).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(LossDistributionTest, RefusesWhatIsNoDistribution) {
  const double nan = std::nan("");
  EXPECT_FALSE(LossDistribution::Create({0.1, 0, {}, 1}).ok());
  EXPECT_FALSE(LossDistribution::Create({0.1, 0, {0.5, 0.4}, 0}).ok());
  EXPECT_FALSE(LossDistribution::Create({0.1, 0, {1.5, -0.5}, 0}).ok());
  EXPECT_FALSE(LossDistribution::Create({0.1, 0, {1.5}, -0.5}).ok());
  EXPECT_FALSE(LossDistribution::Create({0.1, 0, {nan}, 0}).ok());
  EXPECT_FALSE(LossDistribution::Create({0.1, 0, {0.5}, nan}).ok());
  for (const double interval : {0.0, -1.0, nan, kInfinity}) {
    EXPECT_FALSE(LossDistribution::Create({interval, 0, {1}, 0}).ok());
  }
  EXPECT_FALSE(RandomizedResponse(0.1, 1).SelfCompose(0).ok());
  for (const double delta : {0.0, 1.0, nan}) EXPECT_FALSE(RandomizedResponse(0.1, 1).EpsilonFor(delta).ok());
}

}  // namespace
}  // namespace cloister::privacy
