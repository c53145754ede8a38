// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/discrete_gaussian.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "protocols/crypto/seeded_stream.h"

namespace cloister::privacy {
namespace {

RandomWords Seeded(std::string_view seed) {
  auto stream = std::make_shared<crypto::SeededStream>(crypto::SecretBytes::CopyOf(seed), "discrete gaussian test");
  return [stream](absl::Span<uint64_t> words) {
    for (uint64_t& word : words) word = stream->NextU64();
  };
}

std::vector<int64_t> Samples(DiscreteGaussian::Variance variance, std::string_view seed, size_t count) {
  DiscreteGaussian gaussian = DiscreteGaussian::Create(variance, Seeded(seed)).value();
  std::vector<int64_t> samples(count);
  for (int64_t& sample : samples) sample = gaussian.Sample();
  return samples;
}

// Pearson's statistic against the exact probabilities, in standard deviations from its mean.
double ChiSquareDeviations(DiscreteGaussian::Variance variance, size_t count) {
  const double sigma2 = static_cast<double>(variance.numerator) / static_cast<double>(variance.denominator);
  std::map<int64_t, double> observed;
  for (const int64_t sample : Samples(variance, "chi-square", count)) ++observed[sample];
  const int64_t reach = static_cast<int64_t>(12 * std::sqrt(sigma2)) + 12;
  const auto weight = [&](int64_t x) { return std::exp(-static_cast<double>(x * x) / (2 * sigma2)); };
  double mass = 0;
  for (int64_t x = -reach; x <= reach; ++x) mass += weight(x);
  // Neighbours are pooled until twenty are expected: below, the statistic has no chi-square distribution.
  double statistic = 0, pooled_expected = 0, pooled_observed = 0;
  int cells = 0;
  for (int64_t x = -reach; x <= reach; ++x) {
    pooled_expected += static_cast<double>(count) * weight(x) / mass;
    pooled_observed += observed[x];
    if (pooled_expected < 20 && x != reach) continue;
    const double difference = pooled_observed - pooled_expected;
    statistic += difference * difference / std::max(pooled_expected, 1.0);
    ++cells;
    pooled_expected = pooled_observed = 0;
  }
  const double freedom = cells - 1;
  return (statistic - freedom) / std::sqrt(2 * freedom);
}

TEST(DiscreteGaussianTest, SamplesHaveTheExactDistribution) {
  using Variance = DiscreteGaussian::Variance;
  for (const Variance variance : {Variance{1, 5}, {1, 1}, {7, 3}, {12, 1}, {200, 2}, {90001, 17}, {1000003, 100}}) {
    // The seed is fixed: this is one draw of a variable that passes 4.5 less than once in ten thousand.
    EXPECT_LT(std::abs(ChiSquareDeviations(variance, 300000)), 4.5)
        << variance.numerator << "/" << variance.denominator;
  }
}

TEST(DiscreteGaussianTest, LargeTermsDoNotOverflow) {
  constexpr uint64_t kMax = DiscreteGaussian::kMaxTerm;
  EXPECT_LT(std::abs(ChiSquareDeviations({kMax, kMax}, 100000)), 4.5);
  EXPECT_LT(std::abs(ChiSquareDeviations({kMax, kMax / 64}, 100000)), 4.5);
  EXPECT_LT(std::abs(ChiSquareDeviations({kMax / 3, kMax}, 100000)), 4.5);
}

// Where sigma is large the distribution is the continuous one: Kolmogorov and Smirnov against it, and two moments.
TEST(DiscreteGaussianTest, LargeSigmasAreGaussian) {
  for (const uint64_t sigma : {uint64_t{100}, uint64_t{828972}, uint64_t{1} << 24}) {
    constexpr size_t kCount = 1000000;
    std::vector<int64_t> samples = Samples({sigma * sigma, 1}, "large", kCount);
    std::sort(samples.begin(), samples.end());
    double sum = 0, squares = 0, largest_gap = 0;
    for (size_t i = 0; i < kCount; ++i) {
      const double x = static_cast<double>(samples[i]) / static_cast<double>(sigma);
      sum += x;
      squares += x * x;
      // Half a unit: the step of the discrete distribution lies around it.
      const double below = 0.5 * std::erfc(-(x + 0.5 / static_cast<double>(sigma)) * std::sqrt(0.5));
      const size_t rank = std::upper_bound(samples.begin(), samples.end(), samples[i]) - samples.begin();
      largest_gap = std::max(largest_gap, std::abs(below - static_cast<double>(rank) / kCount));
    }
    // Four and a half standard deviations; for the gap, a level of one in ten thousand.
    EXPECT_LT(std::abs(sum / kCount), 4.5 / std::sqrt(kCount)) << sigma;
    EXPECT_LT(std::abs(squares / kCount - 1), 4.5 * std::sqrt(2.0 / kCount)) << sigma;
    EXPECT_LT(largest_gap, 2.23 / std::sqrt(kCount)) << sigma;
  }
}

TEST(DiscreteGaussianTest, SharesAddUpToTheirVariance) {
  constexpr size_t kCount = 50000;
  for (const uint64_t shares : {2, 3, 7}) {
    std::vector<double> sums(kCount);
    for (uint64_t share = 0; share < shares; ++share) {
      const std::vector<int64_t> samples =
          Samples({1000000 / shares, 1}, std::string("share ") + char('0' + share), kCount);
      for (size_t i = 0; i < kCount; ++i) sums[i] += static_cast<double>(samples[i]);
    }
    double squares = 0;
    for (const double sum : sums) squares += sum * sum;
    EXPECT_NEAR(squares / kCount / 1e6, 1, 4.5 * std::sqrt(2.0 / kCount)) << shares;
  }
}

// A site that is restarted in a round must come to the same noise.
TEST(DiscreteGaussianTest, TheSameWordsGiveTheSameSamples) {
  EXPECT_EQ(Samples({1 << 30, 7}, "a", 1000), Samples({1 << 30, 7}, "a", 1000));
  EXPECT_NE(Samples({1 << 30, 7}, "a", 1000), Samples({1 << 30, 7}, "b", 1000));
  EXPECT_EQ(Samples({10000, 1}, "a", 8), (std::vector<int64_t>{48, -20, 60, -1, 65, 177, -4, 34}));
}

TEST(DiscreteGaussianTest, RefusesVariancesThatAreNone) {
  for (const DiscreteGaussian::Variance variance :
       {DiscreteGaussian::Variance{0, 1}, {1, 0}, {DiscreteGaussian::kMaxTerm + 1, 1}, {1, ~uint64_t{0}}}) {
    EXPECT_EQ(DiscreteGaussian::Create(variance, Seeded("a")).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(DiscreteGaussian::Create({0, 3}, Seeded("a")).status().message(),
            "a variance of 0 / 3; both must be 1 to 281474976710656");
}

}  // namespace
}  // namespace cloister::privacy
