// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/rdp_accountant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace cloister::privacy {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

// Computed with dp_accounting, the accounting library of the differential-privacy project, and its default orders. It
// adds up the magnitudes of the terms of the series for fractional orders instead of the terms, which alternate: a
// valid bound, above the divergence itself. At whole orders, and without sampling, the two agree.
struct Gold {
  SampledGaussian mechanism;
  double delta;
  double epsilon;    // exact
  double reference;  // of that library, to six decimals
};
const Gold kGold[] = {
    {{1, 4.530877117, 1}, 1e-6, 1.000000, 1.000000}, {{1, 1, 1}, 1e-5, 4.728507, 4.728507},
    {{1, 10, 100}, 1e-5, 4.728507, 4.728507},        {{0.01, 1, 1000}, 1e-5, 2.101365, 2.101367},
    {{0.1, 2, 200}, 1e-5, 3.679746, 3.679746},       {{0.04, 1.1, 500}, 1e-5, 5.417787, 5.418268},
    {{1, 5, 50}, 1e-6, 7.766238, 7.766238},
};

TEST(RdpAccountantTest, EpsilonIsThatOfTheReferenceOrBelow) {
  for (const Gold& gold : kGold) {
    const double epsilon = RdpEpsilon(gold.mechanism, gold.delta).value();
    EXPECT_NEAR(epsilon, gold.epsilon, 1e-6);     // the last decimal given
    EXPECT_LE(epsilon, gold.reference + 0.5e-6);  // rounded
    EXPECT_GE(epsilon, gold.reference - 5e-4);
  }
}

// That library's test vector at orders 1.5, 2.5, 5, 50 and 100; at the first two (6.70579741e-4, 1.08548710e-3) see
// above: 6.5007e-4 and 1.0854e-3 are what it gave before it stopped subtracting.
TEST(RdpAccountantTest, DivergenceIsThatOfTheReference) {
  const std::vector<double> rdp = SampledGaussianRdp({0.01, 2.5, 50}, {1.5, 2.5, 5, 50, 100}).value();
  EXPECT_NEAR(rdp[0], 6.5007e-4, 0.5e-8);
  EXPECT_NEAR(rdp[1], 1.0854e-3, 0.5e-7);
  EXPECT_LE(rdp[0], 6.70579741e-4);
  EXPECT_LE(rdp[1], 1.08548710e-3);
  // Nine digits are given; a sum close to one loses some of them.
  EXPECT_NEAR(rdp[2] / 2.18075656e-3, 1, 1e-8);
  EXPECT_NEAR(rdp[3] / 2.38460375e-2, 1, 1e-8);
  EXPECT_NEAR(rdp[4] / 167.416308, 1, 1e-8);
}

// The integral itself, by the trapezoidal rule, which converges faster than any power of the step here.
double IntegratedRdp(double q, double sigma, double order) {
  const double step = sigma / 64;
  double sum = 0;
  for (double x = -12 * sigma; x < 12 * sigma + order; x += step) {
    const double ratio_minus_one = q * std::expm1((2 * x - 1) / (2 * sigma * sigma));
    const double density = std::exp(-x * x / (2 * sigma * sigma)) / (sigma * std::sqrt(2 * std::acos(-1.0)));
    sum += step * density * std::expm1(order * std::log1p(ratio_minus_one));
  }
  return std::log1p(sum) / (order - 1);
}

TEST(RdpAccountantTest, DivergenceIsTheIntegral) {
  for (const double q : {0.001, 0.01, 0.1, 0.5, 0.95}) {
    for (const double sigma : {0.6, 1.1, 2.5, 20.0}) {
      const std::vector<double> orders = {1.1, 1.5, 2, 2.5, 3.9, 6, 10.3};
      const std::vector<double> rdp = SampledGaussianRdp({q, sigma, 1}, orders).value();
      for (size_t i = 0; i < orders.size(); ++i) {
        // What rounding leaves of the logarithm of a sum close to one, over order - 1.
        EXPECT_NEAR(rdp[i], IntegratedRdp(q, sigma, orders[i]), 1e-11 + 1e-9 * rdp[i])
            << q << " " << sigma << " " << orders[i];
      }
    }
  }
}

TEST(RdpAccountantTest, ConversionOfAKnownCurve) {
  std::vector<double> orders(31);
  std::iota(orders.begin(), orders.end(), 2);
  EXPECT_NEAR(EpsilonOfRdp(orders, std::vector<double>(31, 1.1), 1e-5).value(), 1.32783806176, 1e-10);
  EXPECT_NEAR(EpsilonOfRdp({32}, {1.1}, 1e-5).value(), 1.32783806176, 1e-10);
}

TEST(RdpAccountantTest, ConversionKnowsNothingAndEverything) {
  EXPECT_EQ(EpsilonOfRdp({2, 3}, {0, 0}, 1e-5).value(), 0);
  EXPECT_EQ(EpsilonOfRdp({2, 3}, {kInfinity, kInfinity}, 1e-5).value(), kInfinity);
  EXPECT_EQ(EpsilonOfRdp({2, 3}, {kInfinity, 1}, 1e-5).value(), EpsilonOfRdp({3}, {1}, 1e-5).value());
  // The formula alone is negative here.
  EXPECT_EQ(EpsilonOfRdp({2}, {0.1}, 0.9).value(), 0);
}

// Known noise multipliers, to four decimals. They belong to the whole orders 2 to 128 and 256; ours, with fractional
// orders between them, prove as much with a little less noise.
TEST(RdpAccountantTest, NoiseMultiplierIsThatOfTheReferenceOrBelow) {
  struct Known {
    double epsilon;
    uint64_t steps;
    double noise_multiplier;
  };
  std::vector<double> orders(127);
  std::iota(orders.begin(), orders.end(), 2);
  orders.push_back(256);
  for (const Known& known : {Known{2, 100, 21.4968}, {8, 100, 6.3809}, {2, 20, 9.6137}, {8, 500, 14.2681}}) {
    const auto epsilon_with = [&](double noise_multiplier) {
      return EpsilonOfRdp(orders, SampledGaussianRdp({1, noise_multiplier, known.steps}, orders).value(), 1e-5).value();
    };
    EXPECT_LE(epsilon_with(known.noise_multiplier + 1e-4), known.epsilon);
    EXPECT_GE(epsilon_with(known.noise_multiplier - 1e-4), known.epsilon);
    const double ours = NoiseMultiplierFor({known.epsilon, 1e-5, 1, known.steps}).value();
    EXPECT_LE(ours, known.noise_multiplier);
    EXPECT_GE(ours, known.noise_multiplier * 0.999);
  }
}

TEST(RdpAccountantTest, NoiseMultiplierMeetsItsTargetAndHardlyMore) {
  for (const double q : {1e-3, 0.04, 1.0}) {
    for (const double epsilon : {0.5, 3.0, 20.0}) {
      const double noise = NoiseMultiplierFor({epsilon, 1e-6, q, 300}).value();
      const double reached = RdpEpsilon({q, noise, 300}, 1e-6).value();
      EXPECT_LE(reached, epsilon);
      EXPECT_GE(reached, epsilon * (1 - 1e-6));
    }
  }
}

TEST(RdpAccountantTest, NoSamplingIsThePlainGaussian) {
  const auto orders = RdpOrders();
  ASSERT_EQ(orders.size(), 153);
  const std::vector<double> plain = SampledGaussianRdp({1, 3, 7}, orders).value();
  const std::vector<double> almost = SampledGaussianRdp({1 - 1e-12, 3, 7}, orders).value();
  const std::vector<double> never = SampledGaussianRdp({0, 3, 7}, orders).value();
  for (size_t i = 0; i < orders.size(); ++i) {
    EXPECT_NEAR(plain[i], 7 * orders[i] / 18, 1e-12 * plain[i]);
    EXPECT_NEAR(almost[i], plain[i], 1e-9 * plain[i]) << orders[i];
    EXPECT_EQ(never[i], 0);
  }
  EXPECT_EQ(RdpEpsilon({0, 3, 7}, 1e-9).value(), 0);
}

// A whole order and its fractional neighbours come from two formulas that have nothing in common.
TEST(RdpAccountantTest, WholeOrdersFitBetweenTheirFractionalNeighbours) {
  for (const double q : {1e-4, 0.01, 0.3, 0.9}) {
    for (const double sigma : {0.5, 1.0, 4.0, 50.0}) {
      for (const double order : {2.0, 3.0, 7.0, 20.0}) {
        const std::vector<double> rdp = SampledGaussianRdp({q, sigma, 1}, {order - 1e-6, order, order + 1e-6}).value();
        EXPECT_NEAR(rdp[1], (rdp[0] + rdp[2]) / 2, 1e-11 + 1e-6 * rdp[1]) << q << " " << sigma << " " << order;
      }
    }
  }
}

TEST(RdpAccountantTest, DivergenceGrowsWithTheOrder) {
  for (const double q : {0.001, 0.1, 0.6}) {
    for (const double sigma : {0.1, 1.0, 30.0}) {
      const std::vector<double> rdp = SampledGaussianRdp({q, sigma, 1}, RdpOrders()).value();
      // Equal but for the rounding of a sum close to one.
      for (size_t i = 1; i < rdp.size(); ++i) EXPECT_GE(rdp[i], rdp[i - 1] - 1e-12) << q << " " << sigma << " " << i;
    }
  }
}

TEST(RdpAccountantTest, EpsilonIsMonotone) {
  const auto epsilon = [](double q, double sigma, uint64_t steps) {
    return RdpEpsilon({q, sigma, steps}, 1e-5).value();
  };
  for (const double q : {0.01, 0.2, 0.7, 1.0}) {
    for (const double sigma : {0.5, 1.0, 5.0}) {
      EXPECT_GT(epsilon(q, sigma, 100), epsilon(q, sigma * 1.1, 100));
      EXPECT_GT(epsilon(q, sigma, 100), epsilon(q * 0.9, sigma, 100));
      EXPECT_GT(epsilon(q, sigma, 100), epsilon(q, sigma, 90));
    }
  }
}

TEST(RdpAccountantTest, RefusesWhatIsNoMechanism) {
  for (const double q : {-0.1, 1.1, kNan, kInfinity}) {
    const auto result = RdpEpsilon({q, 1, 1}, 1e-5);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(result.status().message()).find("sampling probability"), std::string::npos);
  }
  for (const double sigma : {0.0, -1.0, 1e-3, 1e7, kNan, kInfinity}) {
    const auto result = RdpEpsilon({0.1, sigma, 1}, 1e-5);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(result.status().message()).find("noise multiplier"), std::string::npos);
  }
  for (const double delta : {0.0, 1.0, -1e-5, 2.0, kNan}) {
    EXPECT_EQ(RdpEpsilon({1, 1, 1}, delta).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(EpsilonOfRdp({2}, {1}, delta).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(NoiseMultiplierFor({1, delta, 1, 1}).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(RdpEpsilon({1, 1, 0}, 1e-5).status().message(), "0 steps; there must be 1 to 16777216");
  for (const double order : {1.0, 0.5, kNan, kInfinity}) {
    EXPECT_FALSE(SampledGaussianRdp({1, 1, 1}, {order}).ok());
    EXPECT_FALSE(EpsilonOfRdp({order}, {1}, 1e-5).ok());
  }
  EXPECT_FALSE(EpsilonOfRdp({2, 3}, {1}, 1e-5).ok());
  EXPECT_FALSE(EpsilonOfRdp({}, {}, 1e-5).ok());
  for (const double rdp : {-1.0, kNan}) EXPECT_FALSE(EpsilonOfRdp({2}, {rdp}, 1e-5).ok());
}

TEST(RdpAccountantTest, RefusesTargetsThatAreNone) {
  for (const double epsilon : {0.0, -1.0, kNan, kInfinity})
    EXPECT_FALSE(NoiseMultiplierFor({epsilon, 1e-5, 1, 1}).ok());
  EXPECT_FALSE(NoiseMultiplierFor({1, 1e-5, 2, 1}).ok());
  EXPECT_FALSE(NoiseMultiplierFor({1, 1e-5, 1, 0}).ok());
  EXPECT_FALSE(NoiseMultiplierFor({1e-3, 1e-5, 1, 1000000}).ok());
  EXPECT_EQ(NoiseMultiplierFor({1e9, 1e-5, 1, 1}).value(), kMinNoiseMultiplier);
}

}  // namespace
}  // namespace cloister::privacy
