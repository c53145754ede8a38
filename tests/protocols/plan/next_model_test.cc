// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/next_model.h"

#include <gtest/gtest.h>

#include "protocols/plan/quantization.h"
#include "protocols/plan/sums.h"
#include "protocols/update/weight.h"
#include "tests/support/temp_dir.h"

namespace cloister::plan {
namespace {

// A model of 70,000 values, more than one chunk; the last tensor's name makes it a variance.
class NextModelTest : public ::testing::TestWithParam<int> {
 protected:
  NextModelTest() {
    layout_ = update::Layout::Create({{"a.weight", {69'990}}, {"b.running_var", {10}}}).value();
    for (uint64_t i = 0; i < layout_.parameters(); ++i) values_.push_back(0.001F * static_cast<float>(i % 100));
    experiment_.algorithm.name = "fedavg";
    experiment_.sites.maximum = 10;
    experiment_.privacy.ring_bits = GetParam();
    experiment_.privacy.clip = 1;
    EXPECT_TRUE(update::WriteModelState(folder_.path() / "before", layout_, values_).ok());
  }
  // `units` of every value from two sites of weight one.
  absl::StatusOr<std::vector<float>> Next(const std::vector<int64_t>& units, uint64_t weights = 2) {
    Bytes packed(units.size() * secagg::ElementBytes(GetParam()), '\0');
    if (GetParam() == 64) {
      const std::vector<uint64_t> wide(units.begin(), units.end());
      secagg::Pack(absl::MakeConstSpan(wide), 64, packed.data());
    } else {
      const std::vector<uint32_t> narrow(units.begin(), units.end());
      secagg::Pack(absl::MakeConstSpan(narrow), GetParam(), packed.data());
    }
    TrainCounters counters;
    counters.weight = weights * update::Weight::kOne;
    CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel before, update::MappedModel::Open(folder_.path() / "before"));
    CLOISTER_RETURN_IF_ERROR(WriteNextModel(folder_.path() / "after", experiment_, before, {GetParam(), packed},
                                            EncodeTrainCounters(counters))
                                 .status());
    CLOISTER_ASSIGN_OR_RETURN(update::ModelState after, update::ReadModelState(folder_.path() / "after"));
    EXPECT_TRUE(after.layout == layout_);
    return after.values;
  }

  testing::TempDir folder_;
  update::Layout layout_;
  std::vector<float> values_;
  Experiment experiment_;
};

TEST_P(NextModelTest, EveryValueMovesByTheMeanOfTheSum) {
  const double scale = QuantizerOf(experiment_, layout_)->segments()[0].plan.scale;
  std::vector<int64_t> units;
  for (uint64_t i = 0; i < layout_.parameters(); ++i) units.push_back(static_cast<int64_t>(i % 4001) - 2000);
  const auto next = Next(units);
  ASSERT_TRUE(next.ok()) << next.status();
  for (uint64_t i = 0; i < layout_.parameters(); ++i) {
    const auto mean = static_cast<float>(static_cast<double>(units[i]) / (2 * scale));
    auto wanted = static_cast<float>(double{values_[i]} + double{mean});
    if (i >= 69'990) wanted = std::max(wanted, 0.0F);
    ASSERT_EQ((*next)[i], wanted) << i;
  }
}

TEST_P(NextModelTest, AVarianceStopsAtZeroAndNothingElseDoes) {
  const std::vector<int64_t> units(layout_.parameters(), GetParam() == 16 ? -32'000 : -(int64_t{1} << 22));
  const auto next = Next(units);
  ASSERT_TRUE(next.ok()) << next.status();
  const bool shows = GetParam() <= 24;  // in finer grids so many units are next to nothing
  EXPECT_EQ((*next)[69'989] < 0, shows);
  for (uint64_t i = 69'990; i < layout_.parameters(); ++i) {
    EXPECT_GE((*next)[i], 0);
    EXPECT_EQ((*next)[i] == 0, shows || values_[i] == 0) << i;
  }
}

TEST_P(NextModelTest, TotalsThatDoNotFitAreRefused) {
  std::vector<int64_t> units(layout_.parameters(), 1);
  EXPECT_EQ(Next(units, 11).status().code(), absl::StatusCode::kInvalidArgument) << "more weight than sites";
  EXPECT_EQ(Next(units, 0).status().code(), absl::StatusCode::kInvalidArgument);
  units.pop_back();
  EXPECT_EQ(Next(units).status().code(), absl::StatusCode::kDataLoss);
}

INSTANTIATE_TEST_SUITE_P(Rings, NextModelTest, ::testing::Values(16, 24, 32, 64));

}  // namespace
}  // namespace cloister::plan
