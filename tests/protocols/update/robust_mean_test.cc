// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/robust_mean.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace cloister::update {
namespace {

using Kind = RobustRule::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<absl::Span<const float>> Spans(const std::vector<std::vector<float>>& means) {
  return {means.begin(), means.end()};
}

absl::StatusOr<std::vector<float>> Mean(const RobustRule& rule, const std::vector<std::vector<float>>& means) {
  std::vector<float> out(means.front().size());
  CLOISTER_RETURN_IF_ERROR(RobustMean(rule, Spans(means), absl::MakeSpan(out)));
  return out;
}

TEST(RobustMeanTest, KnownAnswers) {
  const std::vector<std::vector<float>> five = {{1, -2}, {2, 4}, {3, 0}, {4, 8}, {1e30f, -1e30f}};
  EXPECT_THAT(*Mean({Kind::kMedian, 0}, five), ElementsAre(3, 0));
  EXPECT_THAT(*Mean({Kind::kTrimmedMean, 1}, five), ElementsAre(3, 2.0f / 3));
  EXPECT_THAT(*Mean({Kind::kTrimmedMean, 2}, five), ElementsAre(3, 0));
  const std::vector<std::vector<float>> four = {{1}, {10}, {2}, {5}};
  EXPECT_THAT(*Mean({Kind::kMedian, 0}, four), ElementsAre(3.5f));
  EXPECT_THAT(*Mean({Kind::kTrimmedMean, 0}, four), ElementsAre(4.5f));
}

// Whatever as many bad groups say as the rule stands, each coordinate stays within what the good ones say.
TEST(RobustMeanTest, BadGroupsCannotPullAnyCoordinateOut) {
  std::mt19937 dice(7);
  std::normal_distribution<float> normal(0, 1);
  for (const RobustRule& rule : {RobustRule{Kind::kMedian, 0}, RobustRule{Kind::kTrimmedMean, 2}}) {
    for (const size_t groups : {5u, 6u, 9u, 12u}) {
      const size_t bad = rule.Tolerated(groups);
      ASSERT_GE(bad, 2u);
      std::vector<std::vector<float>> means(groups, std::vector<float>(500));
      for (size_t group = 0; group < groups; ++group) {
        for (float& value : means[group]) {
          value = normal(dice);
          if (group < bad) value = (dice() % 2 == 0 ? 1 : -1) * std::ldexp(1.0f, static_cast<int>(dice() % 120));
        }
      }
      const std::vector<float> mean = *Mean(rule, means);
      for (size_t i = 0; i < mean.size(); ++i) {
        float least = means[bad][i];
        float most = means[bad][i];
        for (size_t group = bad; group < groups; ++group) {
          least = std::min(least, means[group][i]);
          most = std::max(most, means[group][i]);
        }
        ASSERT_GE(mean[i], least) << groups << " " << i;
        ASSERT_LE(mean[i], most) << groups << " " << i;
      }
    }
  }
}

TEST(RobustMeanTest, TheOrderOfTheGroupsAndTheChunksDoNotMatter) {
  std::mt19937 dice(9);
  std::vector<std::vector<float>> means(6, std::vector<float>(257));
  for (auto& mean : means) {
    for (float& value : mean) value = static_cast<float>(static_cast<int>(dice() % 7) - 3) * -0.1f;  // ties, and -0.0
  }
  for (const RobustRule& rule : {RobustRule{Kind::kMedian, 0}, RobustRule{Kind::kTrimmedMean, 1}}) {
    const std::vector<float> whole = *Mean(rule, means);
    for (int shuffle = 0; shuffle < 20; ++shuffle) {
      std::shuffle(means.begin(), means.end(), dice);
      std::vector<float> parts(whole.size());
      const size_t cut = dice() % whole.size();
      std::vector<absl::Span<const float>> first, second;
      for (const absl::Span<const float>& mean : Spans(means)) {
        first.push_back(mean.subspan(0, cut));
        second.push_back(mean.subspan(cut));
      }
      ASSERT_TRUE(RobustMean(rule, first, absl::MakeSpan(parts).subspan(0, cut)).ok());
      ASSERT_TRUE(RobustMean(rule, second, absl::MakeSpan(parts).subspan(cut)).ok());
      ASSERT_EQ(std::memcmp(parts.data(), whole.data(), sizeof(float) * whole.size()), 0);
    }
  }
}

TEST(RobustMeanTest, RefusesWhatCannotBe) {
  const std::vector<std::vector<float>> two = {{1}, {2}};
  EXPECT_EQ(Mean({Kind::kMedian, 0}, two).status().code(), absl::StatusCode::kInvalidArgument);
  std::vector<std::vector<float>> four = {{1}, {2}, {3}, {4}};
  EXPECT_EQ(Mean({Kind::kTrimmedMean, 2}, four).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((RobustRule{Kind::kTrimmedMean, 2}.Tolerated(4)), 0u);
  EXPECT_TRUE(Mean({Kind::kTrimmedMean, 1}, four).ok());
  four[2].push_back(1);
  EXPECT_EQ(Mean({Kind::kMedian, 0}, four).status().code(), absl::StatusCode::kInvalidArgument);
  four[2] = {std::numeric_limits<float>::quiet_NaN()};
  const absl::Status status = Mean({Kind::kMedian, 0}, four).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("parameter 0 of group 2"));
}

}  // namespace
}  // namespace cloister::update
