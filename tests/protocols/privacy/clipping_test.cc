// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/clipping.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace cloister::privacy {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::nanf("");

TEST(ClippingTest, NormOfKnownVectors) {
  EXPECT_EQ(UpdateNorm({}, {}).value(), 0);
  EXPECT_EQ(UpdateNorm(std::vector<float>{3, 4}, std::vector<float>{0, 0}).value(), 5);
  EXPECT_EQ(UpdateNorm(std::vector<float>(100, 1.5f), std::vector<float>(100, 0.5f)).value(), 10);
  // Squares of the largest floats do not overflow.
  EXPECT_TRUE(std::isfinite(UpdateNorm(std::vector<float>(9, 3.4e38f), std::vector<float>(9, -3.4e38f)).value()));
}

TEST(ClippingTest, EveryLengthAndTailIsCounted) {
  for (size_t size = 0; size < 40; ++size) {
    EXPECT_EQ(UpdateNorm(std::vector<float>(size, 2), std::vector<float>(size, 1)).value(), std::sqrt(size)) << size;
  }
}

TEST(ClippingTest, RefusesNonFiniteValuesWhereverTheyAre) {
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    for (size_t at = 0; at < 20; ++at) {
      std::vector<float> local(20, 1), global(20, 0);
      local[at] = bad;
      EXPECT_FALSE(UpdateNorm(local, global).ok());
      global[at] = bad;
      EXPECT_FALSE(UpdateNorm(local, global).ok());
      local[at] = 0;
      EXPECT_FALSE(UpdateNorm(local, global).ok());
    }
  }
  EXPECT_FALSE(UpdateNorm(std::vector<float>(2), std::vector<float>(3)).ok());
}

TEST(ClippingTest, FactorBringsTheNormToTheBoundAndNeverAboveIt) {
  EXPECT_EQ(ClipFactor(0, 5).value(), 1);
  EXPECT_EQ(ClipFactor(5, 5).value(), 1);
  std::mt19937 random(1);
  std::uniform_real_distribution<double> exponent(-30, 30);
  for (int i = 0; i < 10000; ++i) {
    const double norm = std::exp(exponent(random));
    const double clip = std::exp(exponent(random));
    const double factor = ClipFactor(norm, clip).value();
    ASSERT_GT(factor, 0);
    ASSERT_LE(factor, 1);
    ASSERT_LE(norm * factor, clip);
    ASSERT_GE(norm * factor, std::min(norm, clip) * (1 - 1e-15));
  }
}

TEST(ClippingTest, RefusesNormsThatAreNone) {
  for (const double norm : {-1.0, std::nan(""), double{kInfinity}}) EXPECT_FALSE(ClipFactor(norm, 1).ok());
  for (const double clip : {0.0, -1.0, std::nan(""), double{kInfinity}}) EXPECT_FALSE(ClipFactor(1, clip).ok());
}

}  // namespace
}  // namespace cloister::privacy
