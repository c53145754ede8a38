// SPDX-License-Identifier: Apache-2.0
// Intervals and tests against published software: pROC, R's binom.test and qbeta, and the numbers of docs on
// validation.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

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

Estimable<Estimate> BootstrapAuc(CaseSpan cases, const BootstrapOptions& options) {
  const SortedCases sorted(cases);
  return Bootstrap(PatientSampler::ByClass(sorted), WeightedAuc(sorted), options);
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
  BootstrapOptions options;
  options.seed = 11;
  const Estimate bootstrap = *BootstrapAuc(cases, options);
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
    BootstrapOptions options;
    options.seed = seed;
    options.bca = bca;
    return *BootstrapAuc(cases, options);
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

TEST(BootstrapTest, NeitherThreadsNorTheOrderOfCasesChangeABit) {
  Cases cases = Clustered(150, 3, 21);
  for (Case& one : cases) {
    one.score = std::round(one.score * 40) / 40;  // many ties
  }
  for (const char* name : {"auc", "average_precision", "brier", "log_loss", "ece_equal_width", "ece_equal_mass"}) {
    BootstrapOptions options;
    options.replicates = 200;
    auto run = [&](CaseSpan given) {
      const SortedCases sorted(given);
      return *Bootstrap(PatientSampler::ByClass(sorted), Named(name).of_resamples(sorted, 0.5), options);
    };
    const Estimate first = run(cases);
    options.threads = 3;
    Cases shuffled = cases;
    std::mt19937_64 random(3);
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    for (Case& one : shuffled) {
      one.patient = 7919 * (one.patient + 1) % 10007;  // other names of the same patients
    }
    const Estimate second = run(shuffled);
    EXPECT_EQ(first.value, second.value) << name;
    EXPECT_EQ(first.lower, second.lower) << name;
    EXPECT_EQ(first.upper, second.upper) << name;
    EXPECT_LT(first.lower, first.upper) << name;
  }
}

TEST(BootstrapTest, DrawsAsManyPatientsAsThereAreAndWholeOnes) {
  const Cases cases = Clustered(40, 3, 2);
  const SortedCases sorted(cases);
  const PatientSampler sampler = PatientSampler::ByClass(sorted);
  EXPECT_EQ(sampler.patients(), 40u);
  std::vector<Weight> weights(sampler.rows());
  std::vector<double> mean(sampler.rows());
  for (uint64_t replicate = 0; replicate < 2000; ++replicate) {
    sampler.Draw(1, replicate, absl::MakeSpan(weights));
    std::map<uint32_t, std::set<Weight>> of_patient;
    uint64_t total = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      of_patient[sorted.cases()[i].patient].insert(weights[i]);
      total += weights[i];
      mean[i] += weights[i] / 2000.0;
    }
    ASSERT_EQ(total, cases.size());
    for (const auto& [patient, seen] : of_patient) {
      ASSERT_EQ(seen.size(), 1u) << patient;
    }
  }
  for (double weight : mean) {
    EXPECT_NEAR(weight, 1, 0.12);  // five standard errors of a mean of 2,000 counts of variance one
  }
}

TEST(BootstrapTest, AMillionCasesEveryMetric) {
  Cases cases;
  std::mt19937_64 random(8);
  for (uint32_t i = 0; i < 1'000'000; ++i) {
    const double noise = static_cast<double>(random() >> 11) * 0x1p-53;
    cases.push_back({i, i % 4 == 0, std::round(1e5 * (i % 4 == 0 ? std::sqrt(noise) : noise)) / 1e5});
  }
  BootstrapOptions options;
  options.replicates = 20;
  options.threads = 2;
  for (const Metric& metric : AllMetrics()) {
    const Estimate estimate = *EstimateMetric(metric, cases, 0.5, options);
    EXPECT_LT(estimate.lower, estimate.value) << metric.name;
    EXPECT_GT(estimate.upper, estimate.value) << metric.name;
    EXPECT_LT(estimate.upper - estimate.lower, 0.01) << metric.name;
  }
  // P(sqrt(U) > V) = 2/3; its standard error is about 0.0006.
  EXPECT_NEAR(*Auc(cases), 2.0 / 3, 0.003);
}

TEST(BootstrapTest, BcaOfASkewedMeanLeansToTheTail) {
  // Exponential-like scores: BCa must shift both ends up against the percentile interval.
  Cases cases;
  for (uint32_t i = 0; i < 40; ++i) {
    cases.push_back({i, true, std::min(1.0, -0.15 * std::log1p(-(i + 0.5) / 40))});
  }
  const SortedCases sorted(cases);
  std::vector<double> scores;
  for (const Case& one : sorted.cases()) {
    scores.push_back(one.score);
  }
  const WeightedStatistic mean = WeightedMean(scores);
  const PatientSampler sampler = PatientSampler::ByClass(sorted);
  BootstrapOptions options;
  const Estimate percentile = *Bootstrap(sampler, mean, options);
  options.bca = true;
  const Estimate bca = *Bootstrap(sampler, mean, options);
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

TEST(IntervalTest, PpvOfEyesIsAsUncertainAsThatOfPatients) {
  // Both eyes of a patient alike: the interval must be about that of one eye each, not that of twice the patients.
  Cases one_eye;
  Cases both_eyes;
  std::mt19937_64 random(4);
  for (uint32_t i = 0; i < 400; ++i) {
    one_eye.push_back({i, i % 3 == 0, static_cast<double>((random() % 1000 + (i % 3 == 0 ? 500 : 0))) / 1500});
    both_eyes.push_back(one_eye.back());
    both_eyes.push_back(one_eye.back());
  }
  for (const char* name : {"ppv", "npv", "sensitivity", "specificity"}) {
    const Estimate wilson = *EstimateMetric(Named(name), one_eye, 0.5);
    const Estimate bootstrap = *EstimateMetric(Named(name), both_eyes, 0.5);
    EXPECT_EQ(bootstrap.method, "bootstrap_percentile");
    EXPECT_EQ(bootstrap.n, wilson.n);
    EXPECT_NEAR(bootstrap.upper - bootstrap.lower, wilson.upper - wilson.lower, 0.15 * (wilson.upper - wilson.lower))
        << name;
  }
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
