// SPDX-License-Identifier: Apache-2.0
// The bound of one patient's contribution, exactly and for gradients made to break it; the distribution of the noise;
// the rate of the sampling. Seeds are fixed: each statistic is one draw, and its level is named.

#include "models/train/private_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace cloister::models {
namespace {

using Gradient = std::vector<float>;
using Wide = __int128;

crypto::SecretBytes Key(char fill) {
  return crypto::SecretBytes::CopyOf(std::string(32, fill));
}

PrivateSum Sum(size_t parameters, double clip_norm = 1, double noise_multiplier = 1) {
  return PrivateSum::Create(parameters, clip_norm, noise_multiplier).value();
}

bool Add(PrivateSum& sum, const Gradient& gradient) {
  const absl::Span<const float> piece(gradient);
  return sum.Add({piece});
}

Wide SquaredNorm(const PrivateSum& sum) {
  Wide square = 0;
  for (const int64_t value : sum.values()) {
    square += Wide{value} * value;
  }
  return square;
}

constexpr Wide kBound = Wide{1} << (2 * PrivateSum::kGridBits);

std::vector<Gradient> HostileGradients() {
  constexpr float kLargest = std::numeric_limits<float>::max();
  std::vector<Gradient> gradients = {
      {kLargest},
      Gradient(1000, kLargest),
      Gradient(1000, -kLargest),
      {kLargest, 1e-45F, -kLargest},
      {1e-45F},
      {1.0F},
      {std::nextafter(1.0F, 2.0F)},
      {0.6F, 0.8F},
      {-0.6F, 0.8F, 1e-8F},
      Gradient(100003, 1.0F),
      Gradient(100003, 0.0031622F),
  };
  std::mt19937 random(7);
  std::uniform_real_distribution<float> exponent(-40, 38);
  for (int i = 0; i < 200; ++i) {
    Gradient gradient(1 + random() % 300);
    for (float& value : gradient) {
      value = (random() % 2 == 0 ? 1.0F : -1.0F) * std::pow(10.0F, exponent(random));
    }
    gradients.push_back(gradient);
  }
  return gradients;
}

TEST(PrivateSumTest, NoGradientIsLongerThanTheBoundOnTheGrid) {
  for (const double clip_norm : {1e-6, 0.1, 1.0, 3.0, 1e6}) {
    for (const Gradient& gradient : HostileGradients()) {
      PrivateSum sum = Sum(gradient.size(), clip_norm);
      ASSERT_TRUE(Add(sum, gradient));
      EXPECT_LE(SquaredNorm(sum), kBound) << clip_norm << ", " << gradient.size() << " values from " << gradient[0];
    }
  }
}

TEST(PrivateSumTest, ALongGradientKeepsItsDirectionAndAShortOneItsLength) {
  PrivateSum sum = Sum(2, 5);
  ASSERT_TRUE(Add(sum, {300, -400}));
  constexpr double kUnit = 5.0 / (1 << 30);
  EXPECT_NEAR(static_cast<double>(sum.values()[0]) * kUnit, 3, 2 * kUnit);
  EXPECT_NEAR(static_cast<double>(sum.values()[1]) * kUnit, -4, 2 * kUnit);
  sum.Clear();
  ASSERT_TRUE(Add(sum, {1.5F, -2.0F}));
  EXPECT_NEAR(static_cast<double>(sum.values()[0]) * kUnit, 1.5, 2 * kUnit);
  std::vector<float> read(2);
  sum.Read(0, 4, absl::MakeSpan(read));
  EXPECT_NEAR(read[0], 1.5 / 4, 1e-7);
  EXPECT_NEAR(read[1], -2.0 / 4, 1e-7);
}

TEST(PrivateSumTest, WhatIsNotFiniteCountsAsNone) {
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    PrivateSum sum = Sum(3);
    ASSERT_TRUE(Add(sum, {0.1F, 0.2F, 0.3F}));
    const std::vector<int64_t> before(sum.values().begin(), sum.values().end());
    EXPECT_FALSE(Add(sum, {0, bad, 1}));
    EXPECT_EQ(std::vector<int64_t>(sum.values().begin(), sum.values().end()), before);
  }
}

TEST(PrivateSumTest, TheOrderOfPatientsAndThePiecesChangeNothing) {
  const Gradient a = {1e7F, 3, -2, 1e-9F}, b = {0.1F, -0.7F, 0.3F, 0.9F}, c = {-5, 1, 1e-3F, 2};
  PrivateSum one = Sum(4), other = Sum(4);
  for (const Gradient* gradient : {&a, &b, &c}) {
    Add(one, *gradient);
  }
  for (const Gradient* gradient : {&c, &a, &b}) {
    const absl::Span<const float> all(*gradient);
    other.Add({all.subspan(0, 1), all.subspan(1, 0), all.subspan(1)});
  }
  EXPECT_EQ(one.values(), other.values());
}

TEST(PrivateSumTest, RefusesWhatIsNoMechanism) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(PrivateSum::Create(0, 1, 1).ok());
  for (const double bad : {0.0, -1.0, kNan, kInfinity}) {
    EXPECT_FALSE(PrivateSum::Create(1, bad, 1).ok()) << bad;
    EXPECT_FALSE(PrivateSum::Create(1, 1, bad).ok()) << bad;
  }
}

TEST(PrivateSumTest, TheNoiseIsGaussianWithThePromisedDeviation) {
  constexpr size_t kCount = 1 << 20;
  for (const double multiplier : {0.3, 1.1, 40.0}) {
    PrivateSum sum = Sum(kCount, 2, multiplier);
    sum.AddNoise(Key('k'), {1, 0}, 0, kCount);
    std::vector<double> noise;
    double total = 0, squares = 0, fourth = 0, neighbours = 0;
    for (const int64_t value : sum.values()) {
      const double x = static_cast<double>(value) / (multiplier * (1 << 30));
      neighbours += noise.empty() ? 0 : x * noise.back();
      noise.push_back(x);
      total += x;
      squares += x * x;
      fourth += x * x * x * x;
    }
    // Four and a half standard deviations of each mean: less than one in a hundred thousand.
    const double root = std::sqrt(static_cast<double>(kCount));
    EXPECT_LT(std::abs(total / kCount), 4.5 / root);
    EXPECT_LT(std::abs(squares / kCount - 1), 4.5 * std::sqrt(2.0) / root);
    EXPECT_LT(std::abs(fourth / kCount - 3), 4.5 * std::sqrt(96.0) / root);
    EXPECT_LT(std::abs(neighbours / kCount), 4.5 / root);
    // Kolmogorov and Smirnov at a level of one in ten thousand.
    std::sort(noise.begin(), noise.end());
    double gap = 0;
    for (size_t i = 0; i < kCount; ++i) {
      const double below = 0.5 * std::erfc(-noise[i] * std::sqrt(0.5));
      gap = std::max({gap, std::abs(below - static_cast<double>(i) / kCount),
                      std::abs(below - static_cast<double>(i + 1) / kCount)});
    }
    EXPECT_LT(gap, 2.23 / root) << multiplier;
  }
}

// The tails, where a bound on the noise would break the promise: Pearson's statistic over cells up to 4.5 deviations.
TEST(PrivateSumTest, TheTailsOfTheNoiseAreThere) {
  constexpr size_t kCount = 1 << 22;
  PrivateSum sum = Sum(kCount);
  sum.AddNoise(Key('t'), {2, 3}, 0, kCount);
  constexpr int kCells = 38;  // quarters of a deviation from -4.5 to 4.5, and the ends
  std::vector<double> observed(kCells);
  for (const int64_t value : sum.values()) {
    const double x = static_cast<double>(value) / (1 << 30);
    ++observed[static_cast<size_t>(std::clamp(std::floor((x + 4.5) * 4) + 1, 0.0, kCells - 1.0))];
  }
  const auto below = [](int cell) { return 0.5 * std::erfc(-((cell - 1) / 4.0 - 4.5 + 0.25) * std::sqrt(0.5)); };
  double statistic = 0;
  for (int cell = 0; cell < kCells; ++cell) {
    const double low = cell == 0 ? 0 : below(cell - 1), high = cell == kCells - 1 ? 1 : below(cell);
    const double expected = (high - low) * kCount;
    ASSERT_GT(expected, 10) << cell;
    statistic += std::pow(observed[static_cast<size_t>(cell)] - expected, 2) / expected;
  }
  EXPECT_LT(statistic, 37 + 4.5 * std::sqrt(2 * 37.0));
}

TEST(PrivateSumTest, NoiseIsOfItsKeyAndStepAndTheSameInAnyCut) {
  constexpr size_t kCount = 3 * PrivateSum::kNoiseBlock + 5;
  const auto noise = [](char key, PrivateStep step, bool cut) {
    PrivateSum sum = Sum(kCount);
    if (cut) {
      sum.AddNoise(Key(key), step, 2 * PrivateSum::kNoiseBlock, kCount - 2 * PrivateSum::kNoiseBlock);
      sum.AddNoise(Key(key), step, 0, 2 * PrivateSum::kNoiseBlock);
    } else {
      sum.AddNoise(Key(key), step, 0, kCount);
    }
    return std::vector<int64_t>(sum.values().begin(), sum.values().end());
  };
  const std::vector<int64_t> one = noise('a', {1, 0}, false);
  EXPECT_EQ(one, noise('a', {1, 0}, true));
  for (const std::vector<int64_t>& other :
       {noise('b', {1, 0}, false), noise('a', {0, 1}, false), noise('a', {2, 0}, false), noise('a', {1, 1}, false)}) {
    size_t equal = 0;
    for (size_t i = 0; i < kCount; ++i) {
      equal += one[i] == other[i] ? 1 : 0;
    }
    EXPECT_LT(equal, 4u);
  }
  // No block repeats another.
  EXPECT_NE(one[0], one[PrivateSum::kNoiseBlock]);
  EXPECT_NE(one[PrivateSum::kNoiseBlock], one[2 * PrivateSum::kNoiseBlock]);
}

TEST(PoissonSampleTest, EveryPatientComesAtTheRateByItself) {
  constexpr uint64_t kPatients = 200, kExpected = 16, kSteps = 20000;
  constexpr double kRate = static_cast<double>(kExpected) / kPatients;
  std::vector<double> times(kPatients);
  double sizes = 0, squares = 0, together = 0;
  for (uint32_t step = 0; step < kSteps; ++step) {
    const std::vector<uint32_t> sample = PoissonSample(kPatients, kExpected, Key('s'), {step / 13, step % 13});
    EXPECT_TRUE(std::is_sorted(sample.begin(), sample.end()));
    for (const uint32_t patient : sample) {
      ASSERT_LT(patient, kPatients);
      ++times[patient];
    }
    const auto has = [&](uint32_t patient) { return std::binary_search(sample.begin(), sample.end(), patient); };
    together += has(17) && has(18) ? 1 : 0;
    const double size = static_cast<double>(sample.size());
    sizes += size;
    squares += size * size;
  }
  double statistic = 0;
  for (const double count : times) {
    statistic += std::pow(count - kSteps * kRate, 2) / (kSteps * kRate * (1 - kRate));
  }
  EXPECT_LT(std::abs(statistic - kPatients) / std::sqrt(2.0 * kPatients), 4.5);
  EXPECT_NEAR(together / kSteps, kRate * kRate, 4.5 * kRate / std::sqrt(kSteps));
  // A sample has no fixed size: its variance is that of independent draws (relative error of a variance: sqrt(2 / n)).
  const double mean = sizes / kSteps, variance = squares / kSteps - mean * mean;
  const double binomial = kPatients * kRate * (1 - kRate);
  EXPECT_NEAR(mean, kExpected, 4.5 * std::sqrt(binomial / kSteps));
  EXPECT_NEAR(variance / binomial, 1, 4.5 * std::sqrt(2.0 / kSteps));
}

TEST(PoissonSampleTest, FewPatientsAreAllInEveryStepAndTheSameStepRepeats) {
  for (const uint64_t expected : {4, 5, 4096}) {
    EXPECT_EQ(PoissonSample(4, expected, Key('s'), {1, 1}), (std::vector<uint32_t>{0, 1, 2, 3}));
  }
  const auto sample = [](char key, PrivateStep step) { return PoissonSample(500, 50, Key(key), step); };
  EXPECT_EQ(sample('s', {3, 4}), sample('s', {3, 4}));
  EXPECT_NE(sample('s', {3, 4}), sample('s', {4, 3}));
  EXPECT_NE(sample('s', {3, 4}), sample('t', {3, 4}));
}

}  // namespace
}  // namespace cloister::models
