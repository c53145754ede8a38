// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/guards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/next_model.h"
#include "protocols/plan/quantization.h"
#include "protocols/plan/sums.h"
#include "protocols/update/weight.h"
#include "tests/support/temp_dir.h"

namespace cloister::plan {
namespace {

using ::testing::HasSubstr;

constexpr size_t kParameters = 3 * (size_t{1} << 17) + 5;  // more than one chunk, and no whole number of lanes

class GuardsTest : public ::testing::Test {
 protected:
  GuardsTest() {
    experiment_.algorithm.name = "fedavg";
    experiment_.model.parameters = kParameters;
    experiment_.sites.maximum = 4;
    experiment_.privacy.clip = 16;
    quantizer_ = QuantizerOf(experiment_, layout_)->segments()[0].plan;
  }

  // The totals of a round whose mean update is `value` everywhere, by two sites of full weight.
  void SetMean(double value) {
    update_.assign(kParameters, static_cast<uint32_t>(std::llround(2 * value * quantizer_.scale)));
  }
  secagg::RingView Totals() const { return {32, {reinterpret_cast<const char*>(update_.data()), 4 * update_.size()}}; }
  update::MappedModel Open(const std::string& name) const { return update::MappedModel::Open(PathOf(name)).value(); }
  std::filesystem::path PathOf(const std::string& name) const { return folder_.path() / name; }
  Digest DigestOf(const std::string& name) const { return crypto::Sha256(ReadFile(PathOf(name)).value()); }

  void WriteInitial() {
    ASSERT_TRUE(update::WriteModelState(PathOf("0"), layout_, std::vector<float>(kParameters, 0.5f)).ok());
  }
  absl::StatusOr<AggregateVerdict> Judge(const std::string& name, const std::string& before = "") const {
    const update::MappedModel global = Open(name);
    std::optional<update::MappedModel> last;
    if (!before.empty()) last.emplace(Open(before));
    return JudgeAggregate(experiment_, global, last.has_value() ? &*last : nullptr, Totals(), counters_);
  }
  // Makes model `next` of the totals.
  void Accept(const std::string& name, const std::string& next, const AggregateVerdict& verdict) {
    const update::MappedModel global = Open(name);
    const auto lineage = NextLineage(experiment_, global, DigestOf(name), verdict);
    ASSERT_TRUE(lineage.ok()) << lineage.status();
    ASSERT_TRUE(WriteNextModel(PathOf(next), experiment_, global, Totals(), counters_, *lineage).ok());
  }

  const update::Layout layout_ = update::Layout::Create({{"w", {kParameters}}}).value();
  testing::TempDir folder_;
  Experiment experiment_;
  update::QuantPlan quantizer_;
  std::vector<uint32_t> update_;
  std::vector<uint64_t> counters_ = EncodeTrainCounters({200, 2 * update::Weight::kOne, 1.0, 8});
};

TEST_F(GuardsTest, WithoutGuardsNothingIsJudgedAndNothingRemembered) {
  WriteInitial();
  SetMean(15);
  const auto verdict = Judge("0");
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->broken, "");
  Accept("0", "1", *verdict);
  EXPECT_TRUE(LineageOf(Open("1"))->norms.empty());
  EXPECT_EQ(GuardsInWords(experiment_.privacy.guards), "none");
}

TEST_F(GuardsTest, TheNormIsBounded) {
  WriteInitial();
  const double norm = 0.25 * std::sqrt(static_cast<double>(kParameters));  // 0.25 is exact in the ring
  SetMean(-0.25);
  experiment_.privacy.guards.max_update_norm = norm * (1 + 1e-12);
  EXPECT_EQ(Judge("0")->broken, "");
  EXPECT_NEAR(Judge("0")->norm, norm, norm * 1e-12);
  experiment_.privacy.guards.max_update_norm = norm * (1 - 1e-12);
  EXPECT_THAT(Judge("0")->broken, HasSubstr("max_update_norm: the update's norm is 156.8, allowed 156.8"));
}

TEST_F(GuardsTest, GrowthIsMeasuredAgainstTheMedianOfTheRoundsBefore) {
  WriteInitial();
  experiment_.privacy.guards.max_norm_growth = 4;
  // Nothing to compare the first round with; then the medians are 1, (1 + 2) / 2, 2.
  const std::vector<double> means = {1, 2, 3};
  for (size_t i = 0; i < means.size(); ++i) {
    SetMean(means[i]);
    const auto verdict = Judge(std::to_string(i));
    ASSERT_TRUE(verdict.ok()) << verdict.status();
    EXPECT_EQ(verdict->broken, "");
    EXPECT_EQ(verdict->median.has_value(), i > 0);
    Accept(std::to_string(i), std::to_string(i + 1), *verdict);
  }
  EXPECT_EQ(LineageOf(Open("3"))->norms.size(), 3u);
  EXPECT_EQ(LineageOf(Open("3"))->parent, DigestOf("2"));
  SetMean(7.875);
  EXPECT_EQ(Judge("3")->broken, "");
  SetMean(8.125);
  EXPECT_THAT(Judge("3")->broken, HasSubstr("max_norm_growth: the update's norm is 5095, 4.06 times the median 1254"));
}

TEST_F(GuardsTest, TheCosineIsTakenToTheRoundBefore) {
  WriteInitial();
  experiment_.privacy.guards.min_cosine = 0;
  SetMean(0.5);
  Accept("0", "1", *Judge("0"));
  const auto along = Judge("1", "0");
  ASSERT_TRUE(along.ok()) << along.status();
  EXPECT_NEAR(*along->cosine, 1, 1e-9);
  EXPECT_EQ(along->broken, "");
  SetMean(-0.5);
  EXPECT_THAT(Judge("1", "0")->broken, HasSubstr("min_cosine: the update's cosine to the round before is -1.000"));
  EXPECT_EQ(Judge("1").status().code(), absl::StatusCode::kInvalidArgument) << "without the model before";
  SetMean(0);
  EXPECT_FALSE(Judge("1", "0")->cosine.has_value()) << "nothing has no direction";
}

TEST_F(GuardsTest, TheLineageKeepsTheNewestNorms) {
  WriteInitial();
  experiment_.privacy.guards.max_norm_growth = 2;
  Lineage lineage{std::vector<double>(Lineage::kNormsKept, 1.0), crypto::Sha256("parent")};
  lineage.norms.front() = 7;
  const auto layout = update::Layout::Create({{"w", {3}}}).value();
  const auto write = [&](const std::map<std::string, std::string>& metadata) {
    const Bytes file = update::SafetensorsPrefix(layout, metadata) + Bytes(12, '\0');
    ASSERT_TRUE(WriteFileAtomically(PathOf("m"), file).ok());
  };
  write(LineageMetadata(lineage));
  EXPECT_EQ(LineageOf(Open("m"))->norms, lineage.norms);
  AggregateVerdict verdict;
  verdict.norm = 0.1;
  write(*NextLineage(experiment_, Open("m"), crypto::Sha256("m"), verdict));
  const Lineage next = *LineageOf(Open("m"));
  EXPECT_EQ(next.norms.size(), Lineage::kNormsKept);
  EXPECT_EQ(next.norms.front(), 1.0);
  EXPECT_EQ(next.norms.back(), 0.1);
  EXPECT_EQ(next.parent, crypto::Sha256("m"));
}

TEST_F(GuardsTest, ADamagedLineageIsDataLoss) {
  const auto layout = update::Layout::Create({{"w", {3}}}).value();
  const Lineage good{{1.5}, crypto::Sha256("parent")};
  std::vector<std::map<std::string, std::string>> damaged;
  for (const auto& [key, unused] : LineageMetadata(good)) {
    for (const std::string& text : {std::string("x"), std::string(16, 'g'), std::string(16 * 16, '0'),
                                    std::string("7ff0000000000000"), std::string("bff0000000000000")}) {
      damaged.push_back(LineageMetadata(good));
      damaged.back()[key] = text;
    }
    damaged.push_back(LineageMetadata(good));
    damaged.back().erase(key);
  }
  for (const auto& metadata : damaged) {
    const Bytes file = update::SafetensorsPrefix(layout, metadata) + Bytes(12, '\0');
    ASSERT_TRUE(WriteFileAtomically(PathOf("m"), file).ok());
    EXPECT_EQ(LineageOf(Open("m")).status().code(), absl::StatusCode::kDataLoss)
        << update::SafetensorsPrefix(layout, metadata);
  }
}

TEST_F(GuardsTest, TotalsThatDoNotFitAreRefused) {
  WriteInitial();
  experiment_.privacy.guards.max_update_norm = 1;
  SetMean(1);
  update_.pop_back();
  EXPECT_EQ(Judge("0").status().code(), absl::StatusCode::kDataLoss);
  SetMean(1);
  counters_[1] = 0;
  EXPECT_EQ(Judge("0").status().code(), absl::StatusCode::kInvalidArgument) << "weights that sum to nothing";
}

TEST_F(GuardsTest, WhatTheGuardsRememberIsBoundToTheMasks) {
  const std::vector<float> weights(kParameters, 0.5f);
  const SumName name{JobId::Parse("job-1").value(), SumKind::kTrain, 2, 0};
  const auto root = [&](const char* file) {
    return SumParamsOf(experiment_, Digest(), name, {{"round-1", false, crypto::Sha256(file)}}, weights).model_root;
  };
  EXPECT_EQ(root("one file"), root("another with the same weights"));
  experiment_.privacy.guards.min_cosine = 0;
  EXPECT_NE(root("one file"), root("another with the same weights"));
}

}  // namespace
}  // namespace cloister::plan
