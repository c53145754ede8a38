// SPDX-License-Identifier: Apache-2.0
// Combiners by hand-computed values, and what they refuse.

#include "models/ensemble/ensemble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace cloister::models {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(EnsembleTest, MeanProbability) {
  const auto scores = Combine({{0.2, 1.0}, {0.4, 0.0}}, Combiner::kMeanProbability);
  ASSERT_TRUE(scores.ok());
  EXPECT_THAT(*scores, ElementsAre(DoubleNear(0.3, 1e-15), 0.5));
}

TEST(EnsembleTest, MeanLogit) {
  // Odds 1/4 and 1: geometric mean 1/2, probability 1/3.
  const auto scores = Combine({{0.2}, {0.5}}, Combiner::kMeanLogit);
  ASSERT_TRUE(scores.ok());
  EXPECT_THAT(*scores, ElementsAre(DoubleNear(1.0 / 3, 1e-12)));
}

TEST(EnsembleTest, OneSaturatedMemberDoesNotDecideAlone) {
  const auto scores = Combine({{1.0}, {1e-4}, {1e-4}}, Combiner::kMeanLogit);
  ASSERT_TRUE(scores.ok());
  EXPECT_LT((*scores)[0], 0.5);
}

TEST(EnsembleTest, OneMemberIsItself) {
  EXPECT_THAT(*Combine({{0.25, 0.75}}, Combiner::kMeanProbability), ElementsAre(0.25, 0.75));
  EXPECT_THAT(*Combine({{0.25}}, Combiner::kMeanLogit), ElementsAre(DoubleNear(0.25, 1e-12)));
}

TEST(EnsembleTest, NoCasesAreNoScores) {
  EXPECT_TRUE(Combine({{}, {}}, Combiner::kMeanProbability)->empty());
}

TEST(EnsembleTest, RefusesBadMembers) {
  EXPECT_EQ(Combine({}, Combiner::kMeanLogit).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Combine({{0.1}, {0.1, 0.2}}, Combiner::kMeanLogit).status().code(), absl::StatusCode::kInvalidArgument);
  for (double bad : {-0.01, 1.01, std::nan(""), HUGE_VAL}) {
    const auto scores = Combine({{0.5, 0.5}, {0.5, bad}}, Combiner::kMeanProbability);
    EXPECT_EQ(scores.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(scores.status().message()), HasSubstr("member 1, case 1"));
  }
}

TEST(EnsembleTest, CombinersHaveNames) {
  for (Combiner combiner : {Combiner::kMeanProbability, Combiner::kMeanLogit}) {
    EXPECT_EQ(*ParseCombiner(CombinerName(combiner)), combiner);
  }
  EXPECT_THAT(std::string(ParseCombiner("median").status().message()), HasSubstr("mean_probability, mean_logit"));
}

TEST(EnsembleTest, AScoreAtTheOperatingPointIsPositive) {
  EXPECT_TRUE(IsPositive(0.41, 0.41));
  EXPECT_FALSE(IsPositive(0.41 - 1e-12, 0.41));
}

}  // namespace
}  // namespace cloister::models
