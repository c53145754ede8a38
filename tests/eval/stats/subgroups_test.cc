// SPDX-License-Identifier: Apache-2.0
// Subgroups against statsmodels and hand-made failures, and metrics over sites.

#include "eval/stats/subgroups.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "eval/stats/pool_metric.h"

namespace cloister::eval {
namespace {

TEST(SubgroupsTest, IndependentSharesAgreeWithStatsmodels) {
  // confint_proportions_2indep(56, 70, 48, 80, method="newcomb") and proportions_ztest.
  const Estimate difference = *ProportionDifference({56, 70}, {48, 80});
  EXPECT_NEAR(difference.value, 0.2, 1e-15);
  EXPECT_NEAR(difference.lower, 0.05243147240236498, 1e-9);
  EXPECT_NEAR(difference.upper, 0.33387265403690614, 1e-9);
  EXPECT_NEAR(ProportionTest({56, 70}, {48, 80}), 0.00804508136819656, 1e-12);
  EXPECT_EQ(ProportionTest({5, 5}, {7, 7}), 1);
  EXPECT_EQ(ProportionDifference({0, 0}, {1, 2}).reason(), Reason::kNoCases);
}

// `blind`: the level on which scores say nothing.
void Make(uint32_t patients, int repeats, const std::string& blind, Cases& cases, SubgroupColumn& column) {
  std::mt19937_64 random(31);
  column.name = "camera";
  for (uint32_t i = 0; i < patients; ++i) {
    const bool label = i % 2 == 0;
    const std::string level = i % 10 < 3 ? "a" : i % 10 < 6 ? "b" : "c";
    for (int repeat = 0; repeat < repeats; ++repeat) {
      const double noise = static_cast<double>(random() % 1000) / 2000;
      cases.push_back({i, label, noise + (level != blind && label ? 0.35 : 0.1)});
      column.of_case.push_back(level);
    }
  }
}

TEST(SubgroupsTest, OnlyTheBlindCameraDiffers) {
  for (int repeats : {1, 2}) {
    Cases cases;
    SubgroupColumn column;
    Make(600, repeats, "b", cases, column);
    BootstrapOptions options;
    options.replicates = 200;
    const std::vector<SubgroupLevel> levels = AnalyseSubgroups(cases, 0.4, {column}, 30, options);
    ASSERT_EQ(levels.size(), 3u);
    EXPECT_EQ(levels[1].level, "b");
    EXPECT_EQ(levels[1].patients, 180u);
    const SubgroupMetric& sensitivity = levels[1].metrics[0];
    EXPECT_EQ(sensitivity.difference->method, repeats == 1 ? "newcombe_independent" : "cluster_normal");
    EXPECT_LT(sensitivity.difference->upper, -0.2);
    EXPECT_LT(sensitivity.holm_p, 1e-6);
    EXPECT_LT(levels[1].metrics[2].holm_p, 1e-6);
    for (const SubgroupLevel& level : levels) {
      EXPECT_GT(level.metrics[1].holm_p, 0.05) << level.level;  // specificity is the same everywhere
      for (const SubgroupMetric& metric : level.metrics) {
        EXPECT_GE(metric.holm_p, metric.p_value);
      }
    }
  }
}

TEST(SubgroupsTest, TwiceTheSameEyesAddNothing) {
  Cases once;
  Cases twice;
  SubgroupColumn column;
  Make(300, 1, "b", once, column);
  SubgroupColumn doubled = column;
  twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  doubled.of_case.insert(doubled.of_case.end(), column.of_case.begin(), column.of_case.end());
  BootstrapOptions options;
  options.replicates = 50;
  const Estimate one = *AnalyseSubgroups(once, 0.4, {column}, 30, options)[1].metrics[0].difference;
  const Estimate two = *AnalyseSubgroups(twice, 0.4, {doubled}, 30, options)[1].metrics[0].difference;
  EXPECT_NEAR(one.value, two.value, 1e-15);
  EXPECT_NEAR(two.upper - two.lower, one.upper - one.lower, 0.1 * (one.upper - one.lower));
}

TEST(SubgroupsTest, SmallGroupsAreShownAndNotCompared) {
  Cases cases;
  SubgroupColumn column;
  Make(60, 1, "", cases, column);
  column.of_case[0] = column.of_case[1] = "rare";
  column.of_case[2] = "";  // not known: in no group and in nobody's rest
  BootstrapOptions options;
  options.replicates = 50;
  const std::vector<SubgroupLevel> levels = AnalyseSubgroups(cases, 0.4, {column}, 15, options);
  ASSERT_EQ(levels.size(), 4u);
  EXPECT_EQ(levels[3].level, "rare");
  EXPECT_EQ(levels[3].patients, 2u);
  EXPECT_EQ(levels[3].metrics[0].difference.reason(), Reason::kTooFewPatients);
  uint64_t all = 0;
  for (const SubgroupLevel& level : levels) {
    all += level.cases;
  }
  EXPECT_EQ(all, 59u);
  EXPECT_TRUE(AnalyseSubgroups({}, 0.5, {{"empty", {}}}, 30, options).empty());
}

TEST(PoolMetricTest, SensitivityAgreesWithMetafor) {
  // metafor: rma(escalc("PLO", xi = c(18, 25, 30, 12, 40), ni = c(20, 30, 30, 20, 50)), test = "knha"), transf.ilogit.
  const uint64_t found[] = {18, 25, 30, 12, 40};
  const uint64_t sick[] = {20, 30, 30, 20, 50};
  Cases cases;
  std::vector<std::string> sites;
  for (int site = 0; site < 5; ++site) {
    for (uint64_t i = 0; i < sick[site]; ++i) {
      cases.push_back({static_cast<uint32_t>(cases.size()), true, i < found[site] ? 0.9 : 0.1});
      sites.push_back("h" + std::to_string(site));
    }
  }
  const PooledMetric pooled = PoolMetric("sensitivity", cases, sites, 0.5, {});
  ASSERT_TRUE(pooled.pooled.ok());
  EXPECT_TRUE(pooled.logit);
  EXPECT_NEAR(pooled.pooled->mean.value, 0.8160091798305, 1e-8);
  EXPECT_NEAR(pooled.pooled->mean.lower, 0.561011750157983, 1e-7);
  EXPECT_NEAR(pooled.pooled->mean.upper, 0.938992476487566, 1e-7);
  EXPECT_NEAR(pooled.pooled->tau_squared, 0.38557232132946, 1e-8);
  EXPECT_EQ(pooled.sites.size(), 5u);
  EXPECT_EQ(PoolMetric("specificity", cases, sites, 0.5, {}).pooled.reason(), Reason::kTooFewSites);
  cases[1].patient = 0;
  EXPECT_EQ(PoolMetric("sensitivity", cases, sites, 0.5, {}).pooled.reason(), Reason::kNotMeasured);
}

}  // namespace
}  // namespace cloister::eval
