// SPDX-License-Identifier: Apache-2.0
// Agreement, calibration, pooling over sites and multiple testing against scipy, statsmodels, metafor and psych.

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "eval/stats/agreement.h"
#include "eval/stats/holm.h"
#include "eval/stats/random_effects.h"
#include "eval/stats/recalibration.h"
#include "eval/stats/student.h"
#include "tests/eval/stats/asah.h"

namespace cloister::eval {
namespace {

void ExpectInterval(const Estimate& estimate, double value, double lower, double upper) {
  EXPECT_NEAR(estimate.value, value, 1e-9);
  EXPECT_NEAR(estimate.lower, lower, 1e-8);
  EXPECT_NEAR(estimate.upper, upper, 1e-8);
}

TEST(StudentTest, AgreesWithScipyAndR) {
  EXPECT_NEAR(StudentCdf(0.7, 3), 0.7328365008476182, 1e-13);
  EXPECT_NEAR(StudentCdf(2.5, 4.5), 0.9700471567488997, 1e-13);
  EXPECT_NEAR(StudentCdf(-1.3, 100), 0.09829473171118307, 1e-13);
  EXPECT_NEAR(StudentQuantile(0.975, 4), 2.7764451051977987, 1e-12);
  EXPECT_NEAR(StudentQuantile(0.025, 1), -12.706204736174707, 1e-12);
  EXPECT_NEAR(StudentQuantile(0.9999, 2.5), 34.867969321116405, 1e-11);
  EXPECT_NEAR(StudentQuantile(0.6, 1000), 0.25341451583949864, 1e-12);
  EXPECT_EQ(StudentQuantile(0.5, 3), 0);
  EXPECT_NEAR(FisherQuantile(0.975, 5, 3.7), 10.466545635649881, 1e-10);
  EXPECT_NEAR(FisherQuantile(0.025, 4, 100), 0.12019997336212412, 1e-13);
  EXPECT_NEAR(FisherQuantile(0.95, 120, 7.2), 3.1987526280770675, 1e-11);
  EXPECT_NEAR(ChiSquaredTail(3.2, 5), 0.6691829020332432, 1e-13);
  EXPECT_NEAR(ChiSquaredTail(40, 5), 1.493367900050393e-07, 1e-18);
  EXPECT_NEAR(ChiSquaredTail(0.3, 9), 0.9999966858902002, 1e-13);
  EXPECT_NEAR(ChiSquaredTail(1500, 1400), 0.031503720989392366, 1e-12);
}

TEST(RandomEffectsTest, AgreesWithMetafor) {
  // rma(method = "REML", test = "knha"), to its convergence at 1e-15.
  const RandomEffects pooled =
      *PoolSites({{0.91, 0.0004}, {0.84, 0.0011}, {0.88, 0.0007}, {0.79, 0.0021}, {0.95, 0.0003}, {0.86, 0.0016}});
  ExpectInterval(pooled.mean, 0.88103252332956095, 0.82385872899401069, 0.93820631766511120);
  EXPECT_NEAR(pooled.standard_error, 0.02224157719584818, 1e-10);
  EXPECT_NEAR(pooled.tau_squared, 0.0020617111645822453, 1e-11);
  EXPECT_NEAR(pooled.i_squared, 0.743345258055401, 1e-9);
  EXPECT_NEAR(pooled.q, 19.084618644656569, 1e-10);
  EXPECT_NEAR(pooled.q_p_value, 0.0018536082267984796, 1e-12);
  EXPECT_NEAR(pooled.prediction_lower, 0.7510617367906226, 1e-8);
  EXPECT_NEAR(pooled.prediction_upper, 1.0110033098684992, 1e-8);
  EXPECT_EQ(pooled.mean.n, 6u);
}

TEST(RandomEffectsTest, SitesThatAgreeHaveNoSpread) {
  const RandomEffects pooled =
      *PoolSites({{0.91, 0.0004}, {0.915, 0.0011}, {0.912, 0.0007}, {0.908, 0.0021}, {0.905, 0.0003}});
  ExpectInterval(pooled.mean, 0.90881852315394263, 0.90405982552998687, 0.91357722077789838);
  EXPECT_EQ(pooled.tau_squared, 0);
  EXPECT_EQ(pooled.i_squared, 0);
  EXPECT_NEAR(pooled.prediction_lower, pooled.mean.lower, 1e-15);
}

TEST(RandomEffectsTest, FourSitesGiveNoHeadline) {
  EXPECT_EQ(PoolSites({{0.9, 0.01}, {0.8, 0.01}, {0.7, 0.01}, {0.9, 0.02}}).reason(), Reason::kTooFewSites);
  EXPECT_EQ(PoolSites({}).reason(), Reason::kTooFewSites);
}

TEST(HolmTest, AgreesWithStatsmodels) {
  const std::vector<double> adjusted = Holm({0.01, 0.04, 0.03, 0.005, 0.8});
  const std::vector<double> expected = {0.04, 0.09, 0.09, 0.025, 0.8};
  ASSERT_EQ(adjusted.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(adjusted[i], expected[i], 1e-15);
  }
  EXPECT_EQ(Holm({0.9, 0.8}), (std::vector<double>{1, 1}));
  EXPECT_TRUE(Holm({}).empty());
}

TEST(KappaTest, AgreesWithStatsmodels) {
  const CategoryCounts counts = {{20, 5, 1}, {4, 15, 6}, {2, 3, 24}};
  ExpectInterval(*KappaInterval(counts, KappaWeights::kNone), 0.6047058823529412, 0.460658965532732,
                 0.7487527991731504);
  ExpectInterval(*KappaInterval(counts, KappaWeights::kLinear), 0.6695352839931153, 0.5374742842742138,
                 0.8015962837120169);
  ExpectInterval(*KappaInterval(counts, KappaWeights::kQuadratic), 0.7312430011198208, 0.5972141360422797,
                 0.8652718661973618);
  EXPECT_NEAR(*Kappa(counts, KappaWeights::kLinear), 0.6695352839931153, 1e-14);
}

TEST(KappaTest, OneCategoryIsNotAgreement) {
  EXPECT_EQ(Kappa({{12, 0}, {0, 0}}, KappaWeights::kNone).reason(), Reason::kNoVariation);
  EXPECT_EQ(Kappa({{12}}, KappaWeights::kQuadratic).reason(), Reason::kNoVariation);
  EXPECT_EQ(Kappa({{0, 0}, {0, 0}}, KappaWeights::kNone).reason(), Reason::kNoCases);
  EXPECT_EQ(*Kappa({{3, 0}, {0, 4}}, KappaWeights::kQuadratic), 1);
}

TEST(IntraclassTest, AgreesWithShroutAndFleissAndPsych) {
  // Shrout and Fleiss 1979, table 2: four judges, six targets; ICC(2,1) 0.29. Interval of psych's ICC.
  const Estimate icc =
      *IntraclassCorrelation({{9, 2, 5, 8}, {6, 1, 3, 2}, {8, 4, 6, 8}, {7, 1, 2, 6}, {10, 5, 6, 9}, {6, 2, 4, 7}});
  ExpectInterval(icc, 0.28976377952755888, 0.018786513374711954, 0.76108436964895265);
  EXPECT_EQ(icc.n, 6u);
}

TEST(IntraclassTest, SaysWhyThereIsNone) {
  EXPECT_EQ(IntraclassCorrelation({}).reason(), Reason::kNoCases);
  EXPECT_EQ(IntraclassCorrelation({{1, 2}}).reason(), Reason::kTooFewPatients);
  EXPECT_EQ(IntraclassCorrelation({{3, 3}, {3, 3}}).reason(), Reason::kNoVariation);
  EXPECT_EQ(IntraclassCorrelation({{1, 1}, {3, 3}, {4, 4}})->value, 1);
}

TEST(BlandAltmanTest, AgreesWithStatsmodels) {
  const std::vector<double> first = {120, 134, 98, 151, 77, 143, 109, 88, 130, 165};
  const std::vector<double> second = {118, 140, 95, 155, 80, 139, 115, 85, 128, 170};
  const LimitsOfAgreement limits = *BlandAltman(first, second);
  ExpectInterval(limits.bias, -1, -3.9591152477590654, 1.9591152477590654);
  ExpectInterval(limits.lower, -9.107504468679313, -9.107504468679313 - 5.238673579092952,
                 -9.107504468679313 + 5.238673579092952);
  EXPECT_NEAR(limits.upper.value, 7.107504468679313, 1e-12);
  ExpectInterval(*limits.slope, -0.04618632884666145, -0.15614189123720124, 0.06376923354387834);
  EXPECT_EQ(BlandAltman({}, {}).reason(), Reason::kNoCases);
  EXPECT_EQ(BlandAltman({1, 2}, {1, 3}).reason(), Reason::kTooFewPatients);
  EXPECT_EQ(BlandAltman({5, 5, 5}, {5, 5, 5})->slope.reason(), Reason::kNoVariation);
}

TEST(RecalibrationTest, AgreesWithStatsmodels) {
  Cases cases = testing::AsahS100b();
  const Recalibration independent = *Recalibrate(cases);
  ExpectInterval(independent.slope, 1.0563171586866777, 0.5585611799201761, 1.5540731374531793);
  ExpectInterval(independent.intercept, 2.480004940107374, 2.0595553210842765, 2.900454559130471);
  EXPECT_EQ(independent.slope.method, "logistic");
  for (Case& one : cases) {
    one.patient /= 2;
  }
  const Recalibration clustered = *Recalibrate(cases);
  ExpectInterval(clustered.slope, 1.0563171586866777, 0.4915849385506792, 1.6210493788226763);
  ExpectInterval(clustered.intercept, 2.480004940107374, 2.016127043377256, 2.9438828368374916);
  EXPECT_EQ(clustered.slope.method, "logistic_clustered");
  EXPECT_EQ(clustered.slope.n, 57u);
}

TEST(RecalibrationTest, SaysWhyThereIsNone) {
  EXPECT_EQ(Recalibrate({}).reason(), Reason::kNoCases);
  EXPECT_EQ(Recalibrate(Cases{{0, true, 0.4}, {1, true, 0.6}}).reason(), Reason::kOneClass);
  EXPECT_EQ(Recalibrate(Cases{{0, true, 0.4}, {1, false, 0.4}}).reason(), Reason::kNoVariation);
  EXPECT_EQ(Recalibrate(Cases{{0, true, 0.9}, {1, false, 0.4}, {2, true, 0.4}}).reason(), Reason::kSeparated);
  EXPECT_EQ(Recalibrate(Cases{{0, true, 0.1}, {1, false, 0.4}, {2, false, 0.3}}).reason(), Reason::kSeparated);
}

TEST(RecalibrationTest, ScoresThatOverstateGetASlopeBelowOne) {
  std::mt19937_64 random(5);
  Cases cases;
  for (uint32_t i = 0; i < 20000; ++i) {
    const double logit = 4 * (static_cast<double>(random() >> 11) * 0x1p-53 - 0.5);
    const bool label = static_cast<double>(random() >> 11) * 0x1p-53 < 1 / (1 + std::exp(-(0.5 * logit - 0.7)));
    cases.push_back({i, label, 1 / (1 + std::exp(-logit))});
  }
  const Recalibration fit = *Recalibrate(cases);
  EXPECT_LT(fit.slope.lower, 0.5);
  EXPECT_GT(fit.slope.upper, 0.5);
  EXPECT_LT(fit.intercept.upper, -0.5);
  // Certain and wrong scores are extreme, not infinite.
  cases.push_back({20000, true, 0.0});
  cases.push_back({20001, false, 1.0});
  EXPECT_TRUE(std::isfinite(Recalibrate(cases)->slope.value));
}

}  // namespace
}  // namespace cloister::eval
