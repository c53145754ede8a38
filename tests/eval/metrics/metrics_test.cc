// SPDX-License-Identifier: Apache-2.0
// Point estimates against hand-worked values, and what is not estimable.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "eval/metrics/auc.h"
#include "eval/metrics/calibration.h"
#include "eval/metrics/case.h"
#include "eval/metrics/confusion.h"
#include "eval/metrics/decision_curve.h"
#include "eval/metrics/metric.h"
#include "eval/metrics/roc.h"

namespace cloister::eval {
namespace {

// Scores .9+ .8- .7+ .7- .4+ .2- : of 9 pairs the positive wins 3 + 1.5 + 1 = 5.5.
const Cases kSix = {{0, true, 0.9}, {1, false, 0.8}, {2, true, 0.7}, {3, false, 0.7}, {4, true, 0.4}, {5, false, 0.2}};

TEST(CaseTest, RefusesScoresThatAreNoProbabilities) {
  EXPECT_TRUE(CheckCases(kSix).ok());
  EXPECT_TRUE(CheckCases({}).ok());
  for (double bad : {-0.001, 1.001, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(CheckCases(Cases{{0, true, 0.5}, {1, true, bad}}).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(CaseTest, CountsPatientsNotCases) {
  EXPECT_EQ(CountPatients(Cases{{7, true, 1}, {7, false, 0}, {3, true, 1}}), 2u);
  EXPECT_FALSE(OneCasePerPatient(Cases{{7, true, 1}, {7, false, 0}}));
  EXPECT_TRUE(OneCasePerPatient(kSix));
}

TEST(AucTest, CountsTiesAsHalf) {
  EXPECT_NEAR(*Auc(kSix), 5.5 / 9, 1e-15);
  EXPECT_EQ(CountPairWins(kSix).doubled_wins, 11u);
  EXPECT_EQ(CountPairWins(kSix).pairs, 9u);
  EXPECT_EQ(*Auc(Cases{{0, true, 0.5}, {1, false, 0.5}}), 0.5);
}

TEST(AucTest, OneClassIsNotEstimable) {
  EXPECT_EQ(Auc({}).reason(), Reason::kNoCases);
  EXPECT_EQ(Auc(Cases{{0, true, 0.5}, {1, true, 0.7}}).reason(), Reason::kOneClass);
  EXPECT_EQ(Auc(Cases{{0, false, 0.5}}).reason(), Reason::kOneClass);
}

TEST(AucTest, MidranksShareTies) {
  EXPECT_EQ(Midranks({3.0, 1.0, 3.0, 2.0}), (std::vector<double>{3.5, 1, 3.5, 2}));
}

TEST(ConfusionTest, AScoreAtTheThresholdIsPositive) {
  const Confusion table = CountConfusion(kSix, 0.7);
  EXPECT_EQ(table.true_positives, 2u);
  EXPECT_EQ(table.false_negatives, 1u);
  EXPECT_EQ(table.false_positives, 2u);
  EXPECT_EQ(table.true_negatives, 1u);
  EXPECT_DOUBLE_EQ(*Sensitivity(table), 2.0 / 3);
  EXPECT_DOUBLE_EQ(*Specificity(table), 1.0 / 3);
  EXPECT_DOUBLE_EQ(*Ppv(table), 0.5);
  EXPECT_DOUBLE_EQ(*Npv(table), 0.5);
}

TEST(ConfusionTest, EmptyDenominatorsAreNotEstimable) {
  EXPECT_EQ(Sensitivity({0, 0, 5, 1}).reason(), Reason::kNoPositives);
  EXPECT_EQ(Specificity({5, 1, 0, 0}).reason(), Reason::kNoNegatives);
  EXPECT_EQ(Ppv({0, 5, 5, 0}).reason(), Reason::kNoCalls);
  EXPECT_EQ(Npv({5, 0, 0, 5}).reason(), Reason::kNoCalls);
  EXPECT_EQ(Ppv({0, 0, 5, 1}).reason(), Reason::kOneClass);
  EXPECT_EQ(Npv({5, 1, 0, 0}).reason(), Reason::kOneClass);
}

TEST(RocTest, OnePointPerDistinctScore) {
  const std::vector<OperatingPoint> points = RocPoints(kSix);
  ASSERT_EQ(points.size(), 6u);
  EXPECT_TRUE(std::isinf(points[0].threshold));
  EXPECT_EQ(points[0].table.true_positives + points[0].table.false_positives, 0u);
  for (size_t i = 1; i < points.size(); ++i) {
    const Confusion table = CountConfusion(kSix, points[i].threshold);
    EXPECT_EQ(points[i].table.true_positives, table.true_positives);
    EXPECT_EQ(points[i].table.true_negatives, table.true_negatives);
  }
  EXPECT_EQ(points.back().table.false_negatives, 0u);
  EXPECT_TRUE(RocPoints({}).empty());
}

TEST(RocTest, AveragePrecisionIsTheStepSum) {
  // scikit-learn's documented example: y = 0 0 1 1, scores .1 .4 .35 .8 gives 0.8333.
  const Cases sklearn = {{0, false, 0.1}, {1, false, 0.4}, {2, true, 0.35}, {3, true, 0.8}};
  EXPECT_NEAR(*AveragePrecision(sklearn), 0.8333333333333333, 1e-15);
  // 1/3 * 1 + 1/3 * 2/4 + 1/3 * 3/5.
  EXPECT_NEAR(*AveragePrecision(kSix), (1 + 0.5 + 0.6) / 3, 1e-15);
  EXPECT_EQ(AveragePrecision(Cases{{0, false, 0.5}}).reason(), Reason::kNoPositives);
  EXPECT_DOUBLE_EQ(*AveragePrecision(Cases{{0, true, 0.5}}), 1);
}

TEST(CalibrationTest, BrierAndLogLoss) {
  const Cases two = {{0, true, 0.8}, {1, false, 0.4}};
  EXPECT_NEAR(*Brier(two), (0.04 + 0.16) / 2, 1e-15);
  EXPECT_NEAR(*LogLoss(two), -(std::log(0.8) + std::log(0.6)) / 2, 1e-15);
  // A certain and wrong score costs much and stays finite.
  EXPECT_NEAR(*LogLoss(Cases{{0, true, 0.0}}), -std::log(1e-15), 1e-9);
  EXPECT_EQ(Brier({}).reason(), Reason::kNoCases);
  EXPECT_EQ(LogLoss({}).reason(), Reason::kNoCases);
}

TEST(CalibrationTest, EqualWidthBinsKeepEmptyOnesAndTheScoreOne) {
  const std::vector<CalibrationBin> bins = EqualWidthBins(Cases{{0, true, 1.0}, {1, false, 0.95}, {2, false, 0.0}});
  ASSERT_EQ(bins.size(), 15u);
  EXPECT_EQ(bins[14].n, 2u);
  EXPECT_DOUBLE_EQ(bins[14].mean_score, 0.975);
  EXPECT_DOUBLE_EQ(bins[14].observed(), 0.5);
  EXPECT_EQ(bins[0].n, 1u);
  EXPECT_EQ(bins[7].n, 0u);
  EXPECT_NEAR(*ExpectedCalibrationError(bins), 2.0 / 3 * 0.475, 1e-15);
}

TEST(CalibrationTest, EqualMassBinsKeepTiesTogether) {
  Cases cases;
  for (uint32_t i = 0; i < 30; ++i) {
    cases.push_back({i, i % 2 == 0, i < 10 ? 0.25 : i / 30.0});
  }
  const std::vector<CalibrationBin> bins = EqualMassBins(cases, 15);
  EXPECT_EQ(bins.front().n, 10u);
  EXPECT_EQ(bins.size(), 11u);
  uint64_t n = 0;
  for (const CalibrationBin& bin : bins) {
    n += bin.n;
  }
  EXPECT_EQ(n, 30u);
  EXPECT_EQ(ExpectedCalibrationError(EqualMassBins({}, 15)).reason(), Reason::kNoCases);
}

TEST(DecisionCurveTest, HandWorkedPoint) {
  // At 0.5: TP 2, FP 2 of 6, odds 1: 2/6 - 2/6 = 0; treat all: 0.5 - 0.5 = 0. At 0.25: TP 3, FP 2: 3/6 - 2/6 / 3.
  const std::vector<NetBenefit> curve = DecisionCurve(kSix, 4);
  ASSERT_EQ(curve.size(), 3u);
  EXPECT_NEAR(curve[0].model, 0.5 - 1.0 / 9, 1e-15);
  EXPECT_NEAR(curve[0].treat_all, 0.5 - 0.5 / 3, 1e-15);
  EXPECT_NEAR(curve[1].model, 0, 1e-15);
  EXPECT_NEAR(curve[1].treat_all, 0, 1e-15);
  EXPECT_TRUE(DecisionCurve({}).empty());
}

TEST(MetricTest, NamesAreUniqueAndFound) {
  std::set<std::string_view> names;
  for (const Metric& metric : AllMetrics()) {
    EXPECT_TRUE(names.insert(metric.name).second);
    EXPECT_EQ(FindMetric(metric.name), &metric);
    EXPECT_TRUE(metric.compute(kSix, 0.5).ok()) << metric.name;
    EXPECT_FALSE(metric.compute({}, 0.5).ok()) << metric.name;
  }
  EXPECT_EQ(FindMetric("AUC"), nullptr);
  EXPECT_EQ(FindMetric(""), nullptr);
}

TEST(WeightedTest, AWeightIsThatManyCopies) {
  std::mt19937_64 random(12);
  for (int round = 0; round < 200; ++round) {
    Cases cases;
    const uint32_t n = 1 + random() % 60;
    for (uint32_t i = 0; i < n; ++i) {
      cases.push_back({i, random() % 3 == 0, static_cast<double>(random() % 12) / 11});
    }
    const SortedCases sorted(cases);
    std::vector<Weight> weights;
    Cases copies;
    for (const Case& one : sorted.cases()) {
      weights.push_back(static_cast<Weight>(random() % 4));
      copies.insert(copies.end(), weights.back(), one);
    }
    for (const Metric& metric : AllMetrics()) {
      const Estimable<double> weighted = metric.of_resamples(sorted, 0.5)(weights);
      const Estimable<double> copied = metric.compute(copies, 0.5);
      ASSERT_EQ(weighted.ok(), copied.ok()) << metric.name;
      if (copied.ok()) {
        EXPECT_NEAR(*weighted, *copied, 1e-13) << metric.name;
      } else {
        EXPECT_EQ(weighted.reason(), copied.reason()) << metric.name;
      }
    }
  }
}

TEST(EstimateTest, EveryReasonHasACode) {
  for (int i = 0; i <= static_cast<int>(Reason::kNotMeasured); ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_EQ(ParseReason(ReasonCode(reason)), reason);
  }
  EXPECT_EQ(ParseReason("unknown"), std::nullopt);
}

}  // namespace
}  // namespace cloister::eval
