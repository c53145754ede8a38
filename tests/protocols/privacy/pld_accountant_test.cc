// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/pld_accountant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "protocols/privacy/rdp_accountant.h"

namespace cloister::privacy {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

// The Gaussian mechanism in closed form. Source: Balle, Wang: Improving the Gaussian Mechanism (2018), Theorem 8.
double ExactGaussianDelta(double sigma, double epsilon) {
  const auto normal_below = [](double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); };
  return normal_below(0.5 / sigma - epsilon * sigma) - std::exp(epsilon) * normal_below(-0.5 / sigma - epsilon * sigma);
}

double ExactGaussianEpsilon(double sigma, double delta) {
  if (ExactGaussianDelta(sigma, 0) <= delta) return 0;
  double low = 0, high = 500;
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (low + high);
    (ExactGaussianDelta(sigma, middle) > delta ? low : high) = middle;
  }
  return high;
}

TEST(PldAccountantTest, EpsilonIsThatOfTheReference) {
  // Computed with dp_accounting, the accounting library of the differential-privacy project: connected dots on its
  // default grid of 1e-4.
  struct Gold {
    SampledGaussian mechanism;
    double delta;
    double epsilon;
  };
  const Gold kGold[] = {
      {{1, 4.530877117, 1}, 1e-6, 0.927392}, {{1, 1, 1}, 1e-5, 4.377178},     {{1, 10, 100}, 1e-5, 4.377178},
      {{0.01, 1, 1000}, 1e-5, 1.828244},     {{0.1, 2, 200}, 1e-5, 3.359661}, {{0.04, 1.1, 500}, 1e-5, 4.904778},
      {{1, 5, 50}, 1e-6, 7.286081},
  };
  // The last decimal given.
  for (const Gold& gold : kGold) EXPECT_NEAR(PldEpsilon(gold.mechanism, gold.delta).value(), gold.epsilon, 1e-6);
}

TEST(PldAccountantTest, NoSamplingIsThePlainGaussian) {
  for (const double sigma : {1.0, 5.0, 200.0}) {
    for (const uint64_t steps : {1, 2, 25}) {
      for (const double delta : {1e-10, 1e-6, 1e-2}) {
        const double exact = ExactGaussianEpsilon(sigma / std::sqrt(static_cast<double>(steps)), delta);
        const double epsilon = PldEpsilon({1, sigma, steps}, delta).value();
        EXPECT_GE(epsilon, exact - 1e-7) << sigma << " " << steps << " " << delta;
        EXPECT_LE(epsilon, exact * 1.001 + 1e-7) << sigma << " " << steps << " " << delta;
      }
    }
  }
  EXPECT_NEAR(PldEpsilon({1 - 1e-13, 3, 20}, 1e-6).value(), PldEpsilon({1, 3, 20}, 1e-6).value(), 1e-7);
}

// One step in closed form: delta(epsilon) is that of the Gaussian at another epsilon, times q if the unit is removed.
TEST(PldAccountantTest, OneSampledStepIsAmplifiedExactly) {
  for (const double q : {0.001, 0.05, 0.5}) {
    for (const double sigma : {0.5, 1.0, 3.0}) {
      for (const double delta : {1e-8, 1e-5}) {
        const double epsilon = PldEpsilon({q, sigma, 1}, delta).value();
        const double exact = std::log1p(q * std::expm1(ExactGaussianEpsilon(sigma, delta / q)));
        EXPECT_GE(epsilon, exact - 1e-9) << q << " " << sigma << " " << delta;
        EXPECT_LE(epsilon, exact * 1.001 + 1e-9) << q << " " << sigma << " " << delta;
      }
    }
  }
}

TEST(PldAccountantTest, NeverAboveTheRenyiBound) {
  for (const double q : {1e-4, 0.01, 0.3, 1.0}) {
    for (const double sigma : {0.8, 4.0, 100.0}) {
      for (const uint64_t steps : {1, 30}) {
        EXPECT_LE(PldEpsilon({q, sigma, steps}, 1e-6).value(), RdpEpsilon({q, sigma, steps}, 1e-6).value())
            << q << " " << sigma << " " << steps;
      }
    }
  }
}

TEST(PldAccountantTest, EpsilonIsMonotone) {
  for (const double q : {0.01, 0.3, 1.0}) {
    for (const double sigma : {1.0, 5.0}) {
      const double epsilon = PldEpsilon({q, sigma, 20}, 1e-5).value();
      EXPECT_GT(epsilon, PldEpsilon({q, sigma * 1.1, 20}, 1e-5).value());
      EXPECT_GT(epsilon, PldEpsilon({q * 0.9, sigma, 20}, 1e-5).value());
      EXPECT_GT(epsilon, PldEpsilon({q, sigma, 19}, 1e-5).value());
      EXPECT_GT(epsilon, PldEpsilon({q, sigma, 20}, 1e-4).value());
    }
  }
}

TEST(PldAccountantTest, ManySmallStepsAreCountedAsCloselyAsFewLargeOnes) {
  for (const double sigma : {1.0, 8.0, 64.0, 512.0}) {
    // The last one is four times what is set aside for the rounding of 2^18 steps.
    for (const double delta : {1e-6, 1e-9}) {
      const double exact = ExactGaussianEpsilon(1, delta);
      const double epsilon = PldEpsilon({1, sigma, static_cast<uint64_t>(sigma * sigma)}, delta).value();
      EXPECT_GE(epsilon, exact - 1e-7) << sigma << " " << delta;
      EXPECT_LE(epsilon, exact * (delta == 1e-6 ? 1.001 : 1.01)) << sigma << " " << delta;
    }
  }
}

TEST(PldAccountantTest, LargeLossesTakeACoarserGrid) {
  // Spans some 900 nats, more than the finest grid holds.
  const double exact = ExactGaussianEpsilon(0.5 / std::sqrt(50.0), 1e-6);
  const double epsilon = PldEpsilon({1, 0.5, 50}, 1e-6).value();
  EXPECT_GE(epsilon, exact - 1e-7);
  EXPECT_LE(epsilon, exact * 1.001);
  // No guarantee at all, and an answer nevertheless.
  EXPECT_EQ(PldEpsilon({1, kMinNoiseMultiplier, kMaxSteps}, 1e-6).value(), kInfinity);
  EXPECT_GT(PldEpsilon({1, 1, kMaxSteps}, 1e-6).value(), 1e6);
}

TEST(PldAccountantTest, NoSampleNoLoss) {
  EXPECT_EQ(PldEpsilon({0, 1, 1000}, 1e-12).value(), 0);
  EXPECT_EQ(PldEpsilon({1e-9, kMaxNoiseMultiplier, 1}, 1e-9).value(), 0);
}

TEST(PldAccountantTest, RefusesWhatIsNoMechanism) {
  for (const double q : {-0.1, 1.1, kNan, kInfinity}) {
    const auto result = PldEpsilon({q, 1, 1}, 1e-5);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(result.status().message()).find("sampling probability"), std::string::npos);
  }
  for (const double sigma : {0.0, -1.0, kNan, kInfinity}) {
    const auto result = PldEpsilon({0.1, sigma, 1}, 1e-5);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(result.status().message()).find("noise multiplier"), std::string::npos);
  }
  for (const double delta : {0.0, 1.0, -1e-5, kNan}) {
    const auto result = PldEpsilon({1, 1, 1}, delta);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(result.status().message()).find("delta"), std::string::npos);
  }
  EXPECT_FALSE(PldEpsilon({1, 1, 0}, 1e-5).ok());
}

}  // namespace
}  // namespace cloister::privacy
