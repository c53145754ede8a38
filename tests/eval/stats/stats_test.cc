// SPDX-License-Identifier: Apache-2.0
// Intervals and tests against published software: pROC, R's binom.test and qbeta, and the numbers of docs on
// validation.

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "eval/metrics/auc.h"
#include "eval/metrics/roc.h"
#include "eval/stats/bootstrap.h"
#include "eval/stats/delong.h"
#include "eval/stats/interval.h"
#include "eval/stats/mcnemar.h"
#include "eval/stats/normal.h"
#include "eval/stats/proportion.h"
#include "tests/eval/stats/asah.h"

namespace cloister::eval {
namespace {

const Metric& Named(std::string_view name) {
  return *FindMetric(name);
}

// Positives around 0.65 and negatives around 0.45 for `patients` patients with `repeats` similar cases each; every
// third patient has one case of the other class too.
Cases Clustered(uint32_t patients, int repeats, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  Cases cases;
  for (uint32_t patient = 0; patient < patients; ++patient) {
    const double shift = 0.3 * (uniform() - 0.5);
    const bool label = patient % 2 == 0;
    for (int i = 0; i < repeats; ++i) {
      const bool this_label = (patient % 3 == 0 && i == 0) ? !label : label;
      cases.push_back({patient, this_label, (this_label ? 0.55 : 0.4) + shift + 0.2 * (uniform() - 0.5)});
    }
  }
  return cases;
}

TEST(NormalTest, QuantilesAgreeWithR) {
  EXPECT_NEAR(NormalQuantile(0.975), 1.9599639845400536, 1e-13);
  EXPECT_NEAR(NormalQuantile(0.001), -3.0902323061678132, 1e-13);
  EXPECT_NEAR(NormalQuantile(1e-10), -6.3613409024040557, 1e-12);
  EXPECT_NEAR(NormalQuantile(0.5), 0, 1e-15);
  EXPECT_TRUE(std::isinf(NormalQuantile(0)) && std::isinf(NormalQuantile(1)));
}

TEST(NormalTest, BetaAgreesWithR) {
  EXPECT_NEAR(IncompleteBeta(2, 5, 0.3), 0.579825, 1e-14);
  EXPECT_NEAR(IncompleteBeta(500.5, 0.5, 0.999), 0.317068476655798, 1e-12);
  EXPECT_NEAR(BetaQuantile(0.025, 52, 49), 0.417789765406307, 1e-13);
  EXPECT_NEAR(BetaQuantile(0.001, 0.5, 0.5), 2.46739907091694e-06, 1e-18);
  EXPECT_NEAR(BetaQuantile(0.3, 30, 4), 0.859531181859070, 1e-13);
  EXPECT_NEAR(BetaQuantile(0.99, 2000, 7), 0.998837314470506, 1e-13);
}

struct ProportionCase {
  uint64_t k, n;
  double exact_lower, exact_upper, wilson_lower, wilson_upper;
};

TEST(ProportionTest, AgreesToSixDigits) {
  constexpr ProportionCase kCases[] = {{10, 10, .691503, 1, .722467, 1},
                                       {0, 10, 0, .308497, 0, .277533},
                                       {52, 100, .417790, .620995, .423166, .615354},
                                       {61, 75, .706685, .894018, .710714, .885419},
                                       {299, 300, .981569, .999916, .981363, .999411}};
  for (const ProportionCase& expected : kCases) {
    const Estimate exact = *ClopperPearson(expected.k, expected.n);
    EXPECT_NEAR(exact.lower, expected.exact_lower, 5e-7) << expected.k << "/" << expected.n;
    EXPECT_NEAR(exact.upper, expected.exact_upper, 5e-7) << expected.k << "/" << expected.n;
    const Estimate wilson = *Wilson(expected.k, expected.n);
    EXPECT_NEAR(wilson.lower, expected.wilson_lower, 5e-7) << expected.k << "/" << expected.n;
    EXPECT_NEAR(wilson.upper, expected.wilson_upper, 5e-7) << expected.k << "/" << expected.n;
    EXPECT_EQ(wilson.n, expected.n);
  }
  EXPECT_EQ(Wilson(0, 0).reason(), Reason::kNoCases);
  EXPECT_EQ(ClopperPearson(0, 0).reason(), Reason::kNoCases);
}

TEST(ProportionTest, PairedDifferenceIsNewcombesMethodTen) {
  // Newcombe 1998, table II: 36, 12, 2, 0 gives 0.0569 to 0.3404.
  const Estimate estimate = *PairedProportionDifference({36, 12, 2, 0});
  EXPECT_NEAR(estimate.value, 0.2, 1e-15);
  EXPECT_NEAR(estimate.lower, 0.0569, 5e-5);
  EXPECT_NEAR(estimate.upper, 0.3404, 5e-5);
  const Estimate never_disagree = *PairedProportionDifference({20, 0, 0, 0});
  EXPECT_EQ(never_disagree.value, 0);
  EXPECT_LT(never_disagree.lower, -0.1);
}

TEST(DeLongTest, AgreesWithPRoc) {
  const AucVariance s100b = *DeLong(testing::AsahS100b());
  EXPECT_NEAR(s100b.auc, 0.731368563685637, 1e-12);
  EXPECT_NEAR(s100b.variance, 0.00266868245717244, 1e-12);
  const Estimate interval = *EstimateMetric(Named("auc"), testing::AsahS100b(), 0);
  EXPECT_NEAR(interval.lower, 0.630118211762, 1e-9);
  EXPECT_NEAR(interval.upper, 0.832618915610, 1e-9);
  EXPECT_EQ(interval.method, "delong");
  EXPECT_EQ(interval.n, 113u);
}

TEST(DeLongTest, PairedAgreesWithPRoc) {
  const AucDifference paired = *DeLongPaired(testing::AsahS100b(), testing::AsahWfns());
  EXPECT_NEAR(paired.z, -2.20898359144091, 1e-9);
  EXPECT_NEAR(paired.p_value, 0.0271757822291882, 1e-9);
  const Estimate difference = *EstimateDifference(Named("auc"), testing::AsahS100b(), testing::AsahWfns(), 0.5, 0.5);
  EXPECT_NEAR(difference.lower, -0.1742144192494776, 1e-9);
  EXPECT_NEAR(difference.upper, -0.0104061769564846, 1e-9);
}

TEST(DeLongTest, RepeatingEveryCaseOfAPatientAddsNoInformation) {
  Cases twice;
  for (const Case& one : testing::AsahS100b()) {
    twice.push_back(one);
    twice.push_back(one);
  }
  EXPECT_NEAR(DeLong(twice)->variance, 0.00266868245717244, 1e-12);
}

TEST(DeLongTest, ClusteredVarianceAgreesWithThePatientBootstrap) {
  const Cases cases = Clustered(200, 3, 5);
  const double standard_error = std::sqrt(DeLong(cases)->variance);
  Cases drawn;
  BootstrapOptions options;
  options.seed = 11;
  const Estimate bootstrap = *Bootstrap(
      cases,
      [&](absl::Span<const uint32_t> positions) {
        drawn.clear();
        for (uint32_t position : positions) {
          drawn.push_back(cases[position]);
        }
        return Auc(drawn);
      },
      options);
  // 2000 replicates give the standard error to about 1.6%, the normal approximation adds some.
  EXPECT_NEAR((bootstrap.upper - bootstrap.lower) / (2 * 1.96), standard_error, 0.08 * standard_error);
  // Taking the cases as independent is far off, so that the test can tell.
  Cases independent = cases;
  for (uint32_t i = 0; i < independent.size(); ++i) {
    independent[i].patient = i;
  }
  EXPECT_GT(std::abs(std::sqrt(DeLong(independent)->variance) - standard_error), 0.16 * standard_error);
}

TEST(DeLongTest, SaysWhyThereIsNoVariance) {
  EXPECT_EQ(DeLong({}).reason(), Reason::kNoCases);
  EXPECT_EQ(DeLong(Cases{{0, true, 0.5}, {1, true, 0.6}}).reason(), Reason::kOneClass);
  EXPECT_EQ(DeLong(Cases{{0, true, 0.5}, {1, false, 0.6}, {2, false, 0.1}}).reason(), Reason::kTooFewPatients);
  // Two positive cases of one patient are one patient.
  EXPECT_EQ(DeLong(Cases{{0, true, 0.5}, {0, true, 0.4}, {1, false, 0.6}, {2, false, 0.1}}).reason(),
            Reason::kTooFewPatients);
}

TEST(BootstrapTest, SameSeedSameInterval) {
  const Cases cases = testing::AsahS100b();
  auto run = [&](uint64_t seed, bool bca) {
    Cases drawn;
    BootstrapOptions options;
    options.seed = seed;
    options.bca = bca;
    return *Bootstrap(
        cases,
        [&](absl::Span<const uint32_t> positions) {
          drawn.clear();
          for (uint32_t position : positions) {
            drawn.push_back(cases[position]);
          }
          return Auc(drawn);
        },
        options);
  };
  const Estimate first = run(1, false);
  EXPECT_EQ(first.lower, run(1, false).lower);
  EXPECT_NE(first.lower, run(2, false).lower);
  // pROC, 20,000 stratified replicates: 0.625169 to 0.826393. An end from 2,000 replicates scatters by about 0.004.
  EXPECT_NEAR(first.lower, 0.6252, 0.012);
  EXPECT_NEAR(first.upper, 0.8264, 0.012);
  const Estimate bca = run(1, true);
  EXPECT_EQ(bca.method, "bootstrap_bca");
  EXPECT_NEAR(bca.lower, 0.62, 0.02);
  EXPECT_NEAR(bca.upper, 0.82, 0.02);
}

TEST(BootstrapTest, BcaOfASkewedMeanLeansToTheTail) {
  // Exponential-like scores: BCa must shift both ends up against the percentile interval.
  Cases cases;
  for (uint32_t i = 0; i < 40; ++i) {
    cases.push_back({i, true, std::min(1.0, -0.15 * std::log1p(-(i + 0.5) / 40))});
  }
  auto mean = [&](absl::Span<const uint32_t> positions) -> Estimable<double> {
    double sum = 0;
    for (uint32_t position : positions) {
      sum += cases[position].score;
    }
    return sum / static_cast<double>(positions.size());
  };
  BootstrapOptions options;
  const Estimate percentile = *Bootstrap(cases, mean, options);
  options.bca = true;
  const Estimate bca = *Bootstrap(cases, mean, options);
  EXPECT_GT(bca.lower, percentile.lower);
  EXPECT_GT(bca.upper, percentile.upper);
}

TEST(McNemarTest, AgreesWithRsBinomTest) {
  EXPECT_NEAR(McNemarExact(3, 9), 0.14599609375, 1e-12);
  EXPECT_NEAR(McNemarExact(9, 3), 0.14599609375, 1e-12);
  EXPECT_NEAR(McNemarExact(0, 5), 0.0625, 1e-14);
  EXPECT_EQ(McNemarExact(0, 0), 1);
  EXPECT_EQ(McNemarExact(4, 4), 1);
}

TEST(IntervalTest, SeparatedClassesKeepAWidth) {
  Cases cases;
  for (uint32_t i = 0; i < 20; ++i) {
    cases.push_back({i, i < 10, i < 10 ? 0.9 : 0.1});
  }
  const Estimate auc = *EstimateMetric(Named("auc"), cases, 0);
  EXPECT_EQ(auc.value, 1);
  EXPECT_EQ(auc.upper, 1);
  EXPECT_EQ(auc.method, "newcombe");
  EXPECT_LT(auc.lower, 0.90);
  EXPECT_GT(auc.lower, 0.70);
  // The larger the sample, the narrower.
  EXPECT_GT(NewcombeAuc(1, 100, 100).lower, NewcombeAuc(1, 10, 10).lower);
  EXPECT_EQ(NewcombeAuc(0, 10, 10).lower, 0);
  EXPECT_NEAR(NewcombeAuc(0, 10, 10).upper, 1 - auc.lower, 1e-9);
}

TEST(IntervalTest, SmallOrNearPerfectUsesTheBootstrap) {
  Cases cases;
  for (uint32_t i = 0; i < 24; ++i) {
    cases.push_back({i, i % 2 == 0, (i * 7 % 24) / 24.0 * 0.5 + (i % 2 == 0 ? 0.3 : 0)});
  }
  EXPECT_EQ(EstimateMetric(Named("auc"), cases, 0)->method, "bootstrap_percentile");
}

TEST(IntervalTest, SensitivityIsWilsonUnlessPatientsRepeat) {
  const Cases cases = testing::AsahS100b();
  const Estimate independent = *EstimateMetric(Named("sensitivity"), cases, 0.205 / 4);
  EXPECT_NEAR(independent.value, 0.634146341463415, 1e-12);
  EXPECT_EQ(independent.method, "wilson");
  EXPECT_EQ(independent.n, 41u);
  const Cases clustered = Clustered(100, 3, 9);
  const Estimate repeated = *EstimateMetric(Named("sensitivity"), clustered, 0.5);
  EXPECT_EQ(repeated.method, "bootstrap_percentile");
  EXPECT_LT(repeated.n, 100u);
  Cases perfect = {{0, true, 0.9}, {0, true, 0.9}, {1, true, 0.8}, {1, true, 0.8}, {2, false, 0.1}};
  const Estimate all_right = *EstimateMetric(Named("sensitivity"), perfect, 0.5);
  EXPECT_EQ(all_right.method, "wilson_patients");
  EXPECT_EQ(all_right.n, 2u);
  EXPECT_NEAR(all_right.lower, Wilson(2, 2)->lower, 1e-15);
}

TEST(IntervalTest, OtherMetricsUseTheBootstrap) {
  const Estimate brier = *EstimateMetric(Named("brier"), testing::AsahS100b(), 0);
  EXPECT_EQ(brier.method, "bootstrap_percentile");
  EXPECT_LT(brier.lower, brier.value);
  EXPECT_GT(brier.upper, brier.value);
  EXPECT_EQ(EstimateMetric(Named("average_precision"), {}, 0).reason(), Reason::kNoCases);
}

TEST(IntervalTest, DifferencesAreHonestWhereTheDataSaysLittle) {
  Cases cases;
  std::vector<double> same;
  std::vector<double> as_good;
  for (uint32_t i = 0; i < 20; ++i) {
    cases.push_back({i, i < 10, i < 10 ? 0.9 : 0.1});
    same.push_back(cases.back().score);
    as_good.push_back(i < 10 ? 0.8 : 0.2);
  }
  const Estimate identical = *EstimateDifference(Named("auc"), cases, same, 0.5, 0.5);
  EXPECT_EQ(identical.lower, 0);
  EXPECT_EQ(identical.method, "identical_scores");
  // Both perfect on 20 patients: that does not show non-inferiority within 0.02.
  const Estimate both_perfect = *EstimateDifference(Named("auc"), cases, as_good, 0.5, 0.5);
  EXPECT_EQ(both_perfect.value, 0);
  EXPECT_EQ(both_perfect.method, "mover");
  EXPECT_LT(both_perfect.lower, -0.1);
  EXPECT_LT(EstimateDifference(Named("sensitivity"), cases, as_good, 0.5, 0.5)->lower, -0.1);
  EXPECT_EQ(EstimateDifference(Named("ppv"), cases, as_good, 0.5, 0.5).reason(), Reason::kTooFewPatients);
  EXPECT_TRUE(EstimateDifference(Named("brier"), cases, as_good, 0.5, 0.5).reason() == Reason::kTooFewPatients);
}

}  // namespace
}  // namespace cloister::eval
