// SPDX-License-Identifier: Apache-2.0
#include "eval/report/numbers.h"

#include <algorithm>
#include <set>

#include "eval/stats/interval.h"
#include "eval/stats/mcnemar.h"

namespace cloister::eval {
namespace {

Cases Predictions(const ReportInput& input) {
  Cases cases;
  for (const ReportCase& one : input.cases) {
    cases.push_back(one.prediction);
  }
  return cases;
}

ModelNumbers MeasureModel(const Cases& cases, std::optional<double> threshold, const BootstrapOptions& bootstrap) {
  ModelNumbers numbers;
  numbers.threshold = threshold;
  for (const Metric& metric : AllMetrics()) {
    if (threshold || !metric.at_threshold) {
      numbers.metrics.emplace_back(metric.name, EstimateMetric(metric, cases, threshold.value_or(0), bootstrap));
    }
  }
  if (threshold) {
    numbers.table = CountConfusion(cases, *threshold);
  }
  numbers.roc = RocPoints(cases);
  return numbers;
}

Estimable<Estimate> MeasurePpvAtPrevalence(const Cases& cases, double threshold, double prevalence,
                                           const BootstrapOptions& bootstrap) {
  const SortedCases sorted(cases);
  return Bootstrap(PatientSampler::ByClass(sorted),
                   WeightedTable(sorted, threshold,
                                 [prevalence](const Confusion& table) { return PpvAtPrevalence(table, prevalence); }),
                   bootstrap);
}

double McNemar(const Cases& cases, const std::vector<double>& other_scores, double threshold, double other_threshold,
               bool label) {
  uint64_t only_first = 0;
  uint64_t only_second = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    if (cases[i].label == label) {
      const bool first = (cases[i].score >= threshold) == label;
      const bool second = (other_scores[i] >= other_threshold) == label;
      only_first += first && !second;
      only_second += second && !first;
    }
  }
  return McNemarExact(only_first, only_second);
}

void Compare(const ReportInput& input, const Cases& cases, ReportNumbers& numbers) {
  std::vector<double> scores;
  Cases local = cases;
  for (size_t i = 0; i < input.cases.size(); ++i) {
    scores.push_back(*input.cases[i].local_only_score);
    local[i].score = scores.back();
  }
  const ModelNumbers local_only = MeasureModel(local, input.local_only_threshold, input.bootstrap);
  numbers.local_only_roc = local_only.roc;
  for (const char* name : {"sensitivity", "specificity", "auc"}) {
    const Metric& metric = *FindMetric(name);
    if (metric.at_threshold && !input.local_only_threshold) {
      continue;
    }
    const double other_threshold = input.local_only_threshold.value_or(input.threshold);
    Comparison comparison;
    comparison.metric = name;
    comparison.ours = numbers.model.Find(name);
    comparison.local_only = local_only.Find(name);
    comparison.difference =
        EstimateDifference(metric, cases, scores, input.threshold, other_threshold, input.bootstrap);
    if (metric.at_threshold && numbers.one_study_per_patient) {
      comparison.mcnemar_p = McNemar(cases, scores, input.threshold, other_threshold, metric.name == "sensitivity");
    }
    numbers.comparisons.push_back(std::move(comparison));
  }
}

std::vector<AtThreshold> Sweep(const Cases& cases, double released) {
  constexpr int kSteps = 100;
  std::set<double> thresholds = {released};
  for (int i = 0; i <= kSteps; ++i) {
    thresholds.insert(static_cast<double>(i) / kSteps);
  }
  std::vector<AtThreshold> sweep;
  for (double threshold : thresholds) {
    const Confusion table = CountConfusion(cases, threshold);
    sweep.push_back({threshold, table.true_positives, table.false_positives});
  }
  return sweep;
}

}  // namespace

Estimable<Estimate> ModelNumbers::Find(std::string_view metric) const {
  for (const auto& [name, estimate] : metrics) {
    if (name == metric) {
      return estimate;
    }
  }
  return Reason::kNotMeasured;
}

ReportNumbers ComputeNumbers(const ReportInput& input) {
  const Cases cases = Predictions(input);
  ReportNumbers numbers;
  numbers.studies = cases.size();
  numbers.patients = CountPatients(cases);
  numbers.one_study_per_patient = numbers.patients == numbers.studies;
  Cases positives;
  std::copy_if(cases.begin(), cases.end(), std::back_inserter(positives), [](const Case& one) { return one.label; });
  numbers.positive_patients = CountPatients(positives);
  numbers.negative_patients = numbers.patients - numbers.positive_patients;
  numbers.model = MeasureModel(cases, input.threshold, input.bootstrap);
  numbers.prevalence_given = input.prevalence.has_value();
  numbers.prevalence = input.prevalence.value_or(
      cases.empty() ? 0 : static_cast<double>(positives.size()) / static_cast<double>(cases.size()));
  numbers.ppv_at_prevalence = MeasurePpvAtPrevalence(cases, input.threshold, numbers.prevalence, input.bootstrap);
  if (!input.cases.empty() && input.cases.front().local_only_score) {
    Compare(input, cases, numbers);
  }
  for (const ReportCase& one : input.cases) {
    const bool called = one.prediction.score >= input.threshold;
    if (called != one.prediction.label) {
      (called ? numbers.false_alarms : numbers.misses).push_back(&one);
    }
  }
  auto by_score = [](const ReportCase* a, const ReportCase* b) { return a->prediction.score < b->prediction.score; };
  std::stable_sort(numbers.misses.begin(), numbers.misses.end(), by_score);
  std::stable_sort(numbers.false_alarms.begin(), numbers.false_alarms.end(),
                   [&](const ReportCase* a, const ReportCase* b) { return by_score(b, a); });
  numbers.sweep = Sweep(cases, input.threshold);
  numbers.calibration = EqualMassBins(cases);
  numbers.recalibration = Recalibrate(cases, input.bootstrap.level);
  numbers.subgroups = AnalyseSubgroups(cases, input.threshold, input.subgroups, input.minimum_n, input.bootstrap);
  if (!input.site_of_case.empty()) {
    for (const char* metric : {"sensitivity", "specificity", "auc"}) {
      numbers.over_sites.push_back(PoolMetric(metric, cases, input.site_of_case, input.threshold, input.bootstrap));
    }
  }
  numbers.decision_curve = DecisionCurve(cases);
  return numbers;
}

}  // namespace cloister::eval
