// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/aggregation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace cloister::update {
namespace {

TEST(AggregationTest, FedAvgAddsTheMeanUpdate) {
  const std::vector<float> global = {1.0f, -2.0f, 0.5f};
  std::vector<float> mean = {0.25f, 0.5f, 0.0f};
  ASSERT_TRUE(FedAvg(global, absl::MakeSpan(mean)).ok());
  EXPECT_THAT(mean, testing::ElementsAre(1.25f, -1.5f, 0.5f));
}

TEST(AggregationTest, AModelThatIsNotFiniteIsAnError) {
  const std::vector<float> global = {1.0f, std::numeric_limits<float>::max()};
  std::vector<float> mean = {0.0f, std::numeric_limits<float>::max()};
  const absl::Status status = FedAvg(global, absl::MakeSpan(mean));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "parameter 1 of the new model is not finite");
  std::vector<float> shorter = {0.0f};
  EXPECT_EQ(FedAvg(global, absl::MakeSpan(shorter)).code(), absl::StatusCode::kInvalidArgument);
}

TEST(AggregationTest, RulesAreFoundByAlgorithm) {
  EXPECT_TRUE(FindAggregationRule("fedavg").ok());
  EXPECT_TRUE(FindAggregationRule("fedprox").ok());
  const auto unknown = FindAggregationRule("median");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(unknown.status().message(), "no aggregation rule \"median\"; there are: fedavg, fedprox");
  EXPECT_THAT(AggregationRules(), testing::ElementsAre("fedavg", "fedprox"));
}

}  // namespace
}  // namespace cloister::update
