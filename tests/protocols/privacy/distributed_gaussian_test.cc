// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/distributed_gaussian.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "protocols/privacy/rdp_accountant.h"

namespace cloister::privacy {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

// The whole orders that the known values belong to; with RdpOrders() they are a little smaller.
std::vector<double> WholeOrders() {
  std::vector<double> orders(127);
  std::iota(orders.begin(), orders.end(), 2);
  orders.push_back(256);
  return orders;
}

// Clipping to 1, a noise multiplier of 10, 100 sums.
DistributedGaussian Mechanism(uint64_t shares, uint64_t dimension, double scale) {
  const double norm = RoundedL2Norm(scale, dimension, std::exp(-0.5)).value();
  return {norm, dimension, LocalSigma(10 * scale, shares).value(), shares, 100};
}

TEST(DistributedGaussianTest, EpsilonIsThatOfTheReference) {
  // Computed with the accounting_utils of the mechanism's authors (federated, distributed_dp), to five decimals.
  struct Gold {
    uint64_t shares;
    uint64_t dimension;
    double scale;
    double epsilon;
  };
  const Gold kGold[] = {
      {10, 1 << 20, 0x1p14, 4.75533},     {10, 1 << 25, 0x1p16, 4.75765},     {100, 1 << 25, 0x1p16, 4.75765},
      {1000, 100000000, 0x1p16, 4.76732}, {1000, 100000000, 0x1p18, 4.75365},
  };
  const std::vector<double> orders = WholeOrders();
  for (const Gold& gold : kGold) {
    const DistributedGaussian mechanism = Mechanism(gold.shares, gold.dimension, gold.scale);
    const double epsilon = EpsilonOfRdp(orders, DistributedGaussianRdp(mechanism, orders).value(), 1e-5).value();
    EXPECT_NEAR(epsilon, gold.epsilon, 1e-5);  // the last decimal given
    EXPECT_LE(DistributedGaussianEpsilon(mechanism, 1e-5).value(), epsilon);
  }
  // Without a grid, the Gaussian of the same noise multiplier.
  const double gaussian = EpsilonOfRdp(orders, SampledGaussianRdp({1, 10, 100}, orders).value(), 1e-5).value();
  EXPECT_NEAR(gaussian, 4.75273, 1e-5);
  EXPECT_NEAR(DistributedGaussianEpsilon(Mechanism(10, 100, 0x1p24), 1e-5).value(),
              RdpEpsilon({1, 10, 100}, 1e-5).value(), 1e-5);
}

TEST(DistributedGaussianTest, FinerGridsAndMoreNoiseCostLess) {
  const auto epsilon = [](const DistributedGaussian& mechanism) {
    return DistributedGaussianEpsilon(mechanism, 1e-5).value();
  };
  const DistributedGaussian mechanism = Mechanism(10, 1 << 20, 0x1p14);
  EXPECT_LT(epsilon(Mechanism(10, 1 << 20, 0x1p15)), epsilon(mechanism));
  EXPECT_LT(epsilon(Mechanism(10, 1 << 19, 0x1p14)), epsilon(mechanism));
  DistributedGaussian other = mechanism;
  other.shares = 11;
  EXPECT_LT(epsilon(other), epsilon(mechanism));
  other = mechanism;
  other.local_sigma *= 1.1;
  EXPECT_LT(epsilon(other), epsilon(mechanism));
  other = mechanism;
  other.steps = 99;
  EXPECT_LT(epsilon(other), epsilon(mechanism));
}

TEST(DistributedGaussianTest, RoundedNormIsTheSmallerOfTwoBounds) {
  EXPECT_EQ(RoundedL2Norm(5, 16, 0).value(), 9);
  // sqrt(25 + 4 + 1 * (5 + 2))
  EXPECT_NEAR(RoundedL2Norm(5, 16, std::exp(-0.5)).value(), 6, 1e-12);
  // So certain that the bound that always holds is the smaller one.
  EXPECT_EQ(RoundedL2Norm(5, 4, 1e-300).value(), 7);
  EXPECT_EQ(RoundedL2Norm(0, 1, 0).value(), 1);
}

TEST(DistributedGaussianTest, OnlySharesThatNobodyKnowsCount) {
  EXPECT_EQ(HonestShares(5, 8, 0).value(), 8);
  EXPECT_EQ(HonestShares(8, 5, 3).value(), 5);
  EXPECT_EQ(HonestShares(3, 2, 3).status().message(),
            "3 sites in the smallest sum, 3 of them colluding: no noise is left");
  EXPECT_FALSE(HonestShares(0, 0, 0).ok());
  EXPECT_FALSE(HonestShares(kMaxShares + 1, 0, 0).ok());
}

TEST(DistributedGaussianTest, SharesAddUpToSigmaAndAreNotSmall) {
  EXPECT_EQ(LocalSigma(1000, 4).value(), 500);
  EXPECT_EQ(LocalSigma(1000, 100).value(), kMinLocalSigma);
  const auto refused = LocalSigma(1000, 101);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(refused.status().message()).find("99.5"), std::string::npos);
  for (const double sigma : {0.0, -1000.0, kNan, kInfinity}) EXPECT_FALSE(LocalSigma(sigma, 1).ok());
  EXPECT_FALSE(LocalSigma(1000, 0).ok());
}

TEST(DistributedGaussianTest, TauIsTheSumOfItsTerms) {
  EXPECT_EQ(ShareTau(0.5, 1), 0);
  const double pi = std::acos(-1.0);
  const double x = 2 * pi * pi * 0.25;
  EXPECT_NEAR(ShareTau(0.5, 3), 10 * (std::exp(-x / 2) + std::exp(-x * 2 / 3)), 1e-15);
  // What the smallest shares are allowed to be leaves nothing of it.
  EXPECT_LT(ShareTau(3, kMaxShares), 1e-36);
  EXPECT_EQ(ShareTau(kMinLocalSigma, kMaxShares), 0);
}

TEST(DistributedGaussianTest, DivergenceIsTheLeastOfThreeBounds) {
  EXPECT_DOUBLE_EQ(ShareSumRdp({10, 1, 0, 100}, 4), 2);
  EXPECT_DOUBLE_EQ(ShareSumRdp({10, 1, 0.001, 100}, 4), 2 * (1 + 2 * 10 * 0.001 + 0.0001));  // as the third
  EXPECT_DOUBLE_EQ(ShareSumRdp({10, 1, 0.001, 1}, 40), 20 + 0.001);
  EXPECT_DOUBLE_EQ(ShareSumRdp({1, 1, 0.001, 100}, 4), 2 * (1 + 2 * 0.001 + 0.0001));
  EXPECT_DOUBLE_EQ(ShareSumRdp({1000, 1, 0.01, 10000}, 4), 2 * 4);
}

// The sum of two discrete Gaussians so small that their sum is visibly none, on one coordinate: its divergence from
// itself shifted by one is above that of a Gaussian, and below the bound.
TEST(DistributedGaussianTest, BoundHoldsWhereTheSumIsNoDiscreteGaussian) {
  constexpr int kReach = 40;
  for (const double sigma : {0.35, 0.5, 0.8}) {
    std::vector<double> share(2 * kReach + 1), sum(4 * kReach + 1);
    double mass = 0;
    for (int x = -kReach; x <= kReach; ++x) mass += share[x + kReach] = std::exp(-x * x / (2 * sigma * sigma));
    for (size_t i = 0; i < share.size(); ++i) {
      for (size_t j = 0; j < share.size(); ++j) sum[i + j] += share[i] * share[j] / (mass * mass);
    }
    const double sum_sigma = sigma * std::sqrt(2.0);
    const ShareSum bound{1 / sum_sigma, 1 / sum_sigma, ShareTau(sigma, 2), 1};
    for (const double order : {1.5, 2.0, 5.0}) {
      double moment = 0;
      // Further out both are next to nothing.
      for (int x = 2 * kReach - 12; x <= 2 * kReach + 12; ++x) {
        moment += std::exp(order * std::log(sum[x]) + (1 - order) * std::log(sum[x - 1]));
      }
      EXPECT_LE(std::log(moment) / (order - 1), ShareSumRdp(bound, order)) << sigma << " " << order;
    }
  }
}

TEST(DistributedGaussianTest, RefusesWhatIsNoMechanism) {
  const DistributedGaussian good = Mechanism(10, 1000, 0x1p14);
  ASSERT_TRUE(DistributedGaussianEpsilon(good, 1e-5).ok());
  const auto refuses = [](const DistributedGaussian& mechanism, const char* word) {
    const auto result = DistributedGaussianEpsilon(mechanism, 1e-5);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(result.status().message()).find(word), std::string::npos) << result.status();
  };
  DistributedGaussian bad = good;
  for (const double sensitivity : {0.0, -1.0, kNan, kInfinity}) {
    bad.l2_sensitivity = sensitivity;
    refuses(bad, "sensitivity");
  }
  bad = good;
  for (const double sigma : {0.0, -1.0, 99.9, kNan, kInfinity}) {
    bad.local_sigma = sigma;
    refuses(bad, "finer grid");
  }
  bad = good;
  for (const uint64_t shares : {uint64_t{0}, kMaxShares + 1}) {
    bad.shares = shares;
    refuses(bad, "shares");
  }
  bad = good;
  for (const uint64_t dimension : {uint64_t{0}, kMaxDimension + 1}) {
    bad.dimension = dimension;
    refuses(bad, "dimension");
  }
  bad = good;
  bad.steps = 0;
  refuses(bad, "steps");
  for (const double delta : {0.0, 1.0, kNan}) EXPECT_FALSE(DistributedGaussianEpsilon(good, delta).ok());
  EXPECT_FALSE(DistributedGaussianRdp(good, {1}).ok());
  for (const double norm : {-1.0, kNan, kInfinity}) EXPECT_FALSE(RoundedL2Norm(norm, 1, 0.5).ok());
  for (const double beta : {-0.1, 1.0, kNan}) EXPECT_FALSE(RoundedL2Norm(1, 1, beta).ok());
  EXPECT_FALSE(RoundedL2Norm(1, 0, 0.5).ok());
}

}  // namespace
}  // namespace cloister::privacy
