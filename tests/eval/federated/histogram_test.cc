// SPDX-License-Identifier: Apache-2.0
// Score histograms: what sites add to the secure sum, and what the coordinator can say from the sum.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "eval/federated/operating_point.h"
#include "eval/federated/pooled.h"
#include "eval/federated/score_histogram.h"
#include "eval/metrics/auc.h"
#include "eval/stats/delong.h"

namespace cloister::eval {
namespace {

Cases Random(uint32_t positives, uint32_t negatives, double shift, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  Cases cases;
  for (uint32_t i = 0; i < positives + negatives; ++i) {
    const bool label = i < positives;
    // The mean of three uniforms, moved: a hump like that of real scores.
    const double score = (uniform() + uniform() + uniform()) / 3;
    cases.push_back({i, label, std::clamp(score + (label ? shift : -shift), 0.0, 1.0)});
  }
  return cases;
}

TEST(BinOfTest, AgreesWithComparingToEveryEdge) {
  for (int bins : {2, 7, 100, 200, 4096}) {
    for (int edge = 0; edge <= bins; ++edge) {
      const double exact = static_cast<double>(edge) / bins;
      for (double score : {std::nextafter(exact, 0.0), exact, std::nextafter(exact, 1.0)}) {
        const int bin = BinOf(score, bins);
        ASSERT_GE(score, static_cast<double>(bin) / bins);
        if (bin + 1 < bins) {
          ASSERT_LT(score, static_cast<double>(bin + 1) / bins);
        }
      }
    }
  }
  EXPECT_EQ(BinOf(0, 200), 0);
  EXPECT_EQ(BinOf(1, 200), 199);
}

TEST(ScoreHistogramTest, TablesAtEdgesEqualTheTablesOfTheScores) {
  const Cases cases = Random(300, 700, 0.1, 3);
  const ScoreHistogram histogram = *ScoreHistogram::FromCases(cases, 100);
  for (int bin = 0; bin < 100; ++bin) {
    const Confusion exact = CountConfusion(cases, histogram.Edge(bin));
    const Confusion binned = histogram.TableAt(bin);
    ASSERT_EQ(binned.true_positives, exact.true_positives) << bin;
    ASSERT_EQ(binned.true_negatives, exact.true_negatives) << bin;
  }
}

TEST(ScoreHistogramTest, CountersOfSitesAddUp) {
  const Cases first = Random(50, 80, 0.1, 1);
  const Cases second = Random(20, 10, 0.05, 2);
  const ScoreHistogram a = *ScoreHistogram::FromCases(first, 200);
  const ScoreHistogram b = *ScoreHistogram::FromCases(second, 200);
  std::vector<uint64_t> sum = a.Counters();
  ASSERT_EQ(sum.size(), ScoreHistogram::CounterCount(200));
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i] += b.Counters()[i];
  }
  ScoreHistogram merged = a;
  ASSERT_TRUE(merged.Merge(b).ok());
  EXPECT_EQ(merged.Counters(), sum);
  const ScoreHistogram read = *ScoreHistogram::FromCounters(200, sum);
  EXPECT_EQ(read.Counters(), sum);
  EXPECT_EQ(read.positives(), 70u);
  EXPECT_EQ(read.negatives(), 90u);
  // Site-stratified: each site's exact AUC, weighted by its pairs.
  EXPECT_NEAR(*SiteStratifiedAuc(read), (*Auc(first) * 50 * 80 + *Auc(second) * 20 * 10) / (50 * 80 + 20 * 10), 1e-12);
}

TEST(ScoreHistogramTest, RefusesHostileCounters) {
  const ScoreHistogram good = *ScoreHistogram::FromCases(Random(5, 5, 0.1, 1), 4);
  const std::vector<uint64_t> counters = good.Counters();
  for (size_t length : {0, 1, 9, 11}) {
    EXPECT_EQ(ScoreHistogram::FromCounters(4, std::vector<uint64_t>(length)).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  for (size_t i = 0; i < counters.size(); ++i) {
    std::vector<uint64_t> bad = counters;
    bad[i] = std::numeric_limits<uint64_t>::max();
    EXPECT_FALSE(ScoreHistogram::FromCounters(4, bad).ok()) << i;
    bad[i] = ScoreHistogram::kMaxCases + 1;
    EXPECT_FALSE(ScoreHistogram::FromCounters(4, bad).ok()) << i;
  }
  std::vector<uint64_t> wraps = counters;
  wraps[0] = wraps[1] = wraps[2] = wraps[3] = uint64_t{1} << 62;  // their sum is 0 mod 2^64
  EXPECT_FALSE(ScoreHistogram::FromCounters(4, wraps).ok());
  for (int bins : {-1, 0, 1, ScoreHistogram::kMaxBins + 1}) {
    EXPECT_FALSE(ScoreHistogram::Create(bins).ok());
  }
  EXPECT_FALSE(ScoreHistogram::FromCases(Cases{{0, true, std::nan("")}}, 10).ok());
  ScoreHistogram other = *ScoreHistogram::Create(5);
  EXPECT_EQ(other.Merge(good).code(), absl::StatusCode::kInvalidArgument);
}

TEST(PooledTest, AucIsWithinItsPrintedBound) {
  for (int bins : {2, 5, 20, 200}) {
    const Cases cases = Random(500, 5000, 0.12, 17);
    const Estimable<PooledAuc> pooled = AucFromHistogram(*ScoreHistogram::FromCases(cases, bins));
    ASSERT_TRUE(pooled.ok());
    EXPECT_LE(std::abs(pooled->estimate.value - *Auc(cases)), pooled->error_bound) << bins;
  }
  // The order of magnitude of the published example: 200 bins, 500 positives, 5,000 negatives.
  const Cases cases = Random(500, 5000, 0.12, 17);
  const PooledAuc pooled = *AucFromHistogram(*ScoreHistogram::FromCases(cases, 200));
  EXPECT_LT(std::abs(pooled.estimate.value - *Auc(cases)), 1e-4);
  EXPECT_LT(pooled.error_bound, 5e-3);
}

TEST(PooledTest, IntervalAgreesWithDeLongOnTheSameScores) {
  // Scores at bin edges lose nothing in the histogram, so that both must agree.
  Cases cases = Random(200, 300, 0.1, 5);
  for (Case& one : cases) {
    one.score = BinOf(one.score, 50) / 50.0;
  }
  const PooledAuc pooled = *AucFromHistogram(*ScoreHistogram::FromCases(cases, 50));
  const AucVariance exact = *DeLong(cases);
  EXPECT_NEAR(pooled.estimate.value, exact.auc, 1e-12);
  EXPECT_NEAR(pooled.estimate.upper - pooled.estimate.value, 1.9599639845 * std::sqrt(exact.variance), 1e-9);
}

TEST(PooledTest, SaysWhatCannotBeEstimated) {
  const ScoreHistogram none = *ScoreHistogram::Create(10);
  EXPECT_EQ(AucFromHistogram(none).reason(), Reason::kNoCases);
  EXPECT_EQ(SiteStratifiedAuc(none).reason(), Reason::kOneClass);
  EXPECT_EQ(SensitivityFromHistogram(none, 0.5).reason(), Reason::kNoPositives);
  EXPECT_EQ(SpecificityFromHistogram(none, 0.5).reason(), Reason::kNoNegatives);
  const ScoreHistogram one_class = *ScoreHistogram::FromCases(Random(10, 0, 0.1, 1), 10);
  EXPECT_EQ(AucFromHistogram(one_class).reason(), Reason::kOneClass);
  EXPECT_TRUE(SensitivityFromHistogram(one_class, 0.5).ok());
  const ScoreHistogram apart =
      *ScoreHistogram::FromCases(Cases{{0, true, 0.9}, {1, true, 0.9}, {2, false, 0.1}, {3, false, 0.1}}, 10);
  EXPECT_LT(AucFromHistogram(apart)->estimate.lower, 0.9);
  EXPECT_EQ(AucFromHistogram(apart)->estimate.value, 1);
}

TEST(OperatingPointTest, YoudenTakesTheMiddleOfAGap) {
  const ScoreHistogram apart =
      *ScoreHistogram::FromCases(Cases{{0, true, 0.85}, {1, true, 0.95}, {2, false, 0.05}, {3, false, 0.15}}, 10);
  const ChosenThreshold chosen = *ChooseThreshold(apart, ThresholdRule::kYouden, 0);
  EXPECT_DOUBLE_EQ(chosen.threshold, 0.5);  // edges 0.2 to 0.8 all separate
  EXPECT_EQ(chosen.tuning.false_positives + chosen.tuning.false_negatives, 0u);
}

TEST(OperatingPointTest, FixedTargetsAreReachedAsTightlyAsPossible) {
  const Cases cases = Random(400, 600, 0.08, 8);
  const ScoreHistogram histogram = *ScoreHistogram::FromCases(cases, 200);
  const ChosenThreshold sensitive = *ChooseThreshold(histogram, ThresholdRule::kFixedSensitivity, 0.9);
  EXPECT_GE(*Sensitivity(sensitive.tuning), 0.9);
  const ChosenThreshold specific = *ChooseThreshold(histogram, ThresholdRule::kFixedSpecificity, 0.9);
  EXPECT_GE(*Specificity(specific.tuning), 0.9);
  for (int bin = 0; bin < 200; ++bin) {
    const Confusion table = histogram.TableAt(bin);
    if (*Sensitivity(table) >= 0.9) {
      EXPECT_LE(table.true_negatives, sensitive.tuning.true_negatives);
    }
    if (*Specificity(table) >= 0.9) {
      EXPECT_LE(table.true_positives, specific.tuning.true_positives);
    }
  }
  // What the histogram promises is what the scores do.
  EXPECT_EQ(CountConfusion(cases, specific.threshold).true_positives, specific.tuning.true_positives);
}

TEST(OperatingPointTest, ScoresThemselvesGiveTheMiddleOfTheirGap) {
  // Rising: -.1 -.2 +.3 -.4 +.6 +.8. Youden: at .3 1 + 2/3, at .6 2/3 + 1, a tie that goes to the higher sensitivity.
  const Cases cases = {{0, false, .1}, {1, false, .2}, {2, true, .3}, {3, false, .4}, {4, true, .6}, {5, true, .8}};
  const ChosenThreshold youden = *ChooseThreshold(cases, ThresholdRule::kYouden, 0);
  EXPECT_DOUBLE_EQ(youden.threshold, 0.25);
  EXPECT_EQ(youden.tuning.true_positives, 3u);
  EXPECT_DOUBLE_EQ(ChooseThreshold(cases, ThresholdRule::kFixedSpecificity, 1)->threshold, 0.5);
  EXPECT_DOUBLE_EQ(ChooseThreshold(cases, ThresholdRule::kFixedSensitivity, 1)->threshold, 0.25);
  EXPECT_DOUBLE_EQ(ChooseThreshold(cases, ThresholdRule::kFixedSensitivity, 0.3)->threshold, 0.5);
  for (ThresholdRule rule :
       {ThresholdRule::kYouden, ThresholdRule::kFixedSensitivity, ThresholdRule::kFixedSpecificity}) {
    const ChosenThreshold chosen = *ChooseThreshold(cases, rule, 0.6);
    EXPECT_EQ(CountConfusion(cases, chosen.threshold).true_positives, chosen.tuning.true_positives);
    EXPECT_EQ(CountConfusion(cases, chosen.threshold).false_positives, chosen.tuning.false_positives);
  }
  EXPECT_EQ(ChooseThreshold(Cases{}, ThresholdRule::kYouden, 0).reason(), Reason::kNoCases);
  EXPECT_EQ(ChooseThreshold(Cases{{0, true, 1}}, ThresholdRule::kYouden, 0).reason(), Reason::kOneClass);
  EXPECT_EQ(ChooseThreshold(Cases{{0, true, .1}, {1, false, .9}}, ThresholdRule::kFixedSpecificity, 1).reason(),
            Reason::kTargetNotReached);
}

TEST(OperatingPointTest, SaysWhyThereIsNone) {
  const ScoreHistogram one_class = *ScoreHistogram::FromCases(Random(10, 0, 0.1, 1), 10);
  EXPECT_EQ(ChooseThreshold(one_class, ThresholdRule::kYouden, 0).reason(), Reason::kOneClass);
  const ScoreHistogram top = *ScoreHistogram::FromCases(Cases{{0, true, 0.5}, {1, false, 1.0}}, 10);
  EXPECT_EQ(ChooseThreshold(top, ThresholdRule::kFixedSpecificity, 1).reason(), Reason::kTargetNotReached);
  EXPECT_FALSE(ParseThresholdRule("Youden").ok());
  EXPECT_EQ(*ParseThresholdRule("sensitivity"), ThresholdRule::kFixedSensitivity);
}

}  // namespace
}  // namespace cloister::eval
