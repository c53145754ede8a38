// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/interval.h"

#include <algorithm>
#include <cmath>

#include "eval/metrics/auc.h"
#include "eval/metrics/confusion.h"
#include "eval/stats/delong.h"
#include "eval/stats/normal.h"
#include "eval/stats/proportion.h"

namespace cloister::eval {
namespace {

constexpr uint64_t kFewPatients = 20;
constexpr double kAucNearOne = 0.98;

struct ClassPatients {
  uint64_t positives = 0;
  uint64_t negatives = 0;
};

Cases Select(CaseSpan cases, const std::function<bool(const Case&)>& wanted) {
  Cases selected;
  std::copy_if(cases.begin(), cases.end(), std::back_inserter(selected), wanted);
  return selected;
}

ClassPatients CountClassPatients(CaseSpan cases) {
  return {CountPatients(Select(cases, [](const Case& one) { return one.label; })),
          CountPatients(Select(cases, [](const Case& one) { return !one.label; }))};
}

Estimable<Estimate> BootstrapMetric(const Metric& metric, CaseSpan cases, double threshold,
                                    const BootstrapOptions& options) {
  const SortedCases sorted(cases);
  return Bootstrap(PatientSampler::ByClass(sorted), metric.of_resamples(sorted, threshold), options);
}

// Replicates that differ by rounding only have no width.
bool HasWidth(const Estimable<Estimate>& estimate) {
  return estimate.ok() && estimate->upper - estimate->lower > 1e-12;
}

Estimable<Estimate> EstimateAuc(const Metric& metric, CaseSpan cases, const BootstrapOptions& options) {
  const Estimable<AucVariance> delong = DeLong(cases);
  if (!delong.ok()) {
    return delong.reason();
  }
  const ClassPatients patients = CountClassPatients(cases);
  const bool small = std::min(patients.positives, patients.negatives) < kFewPatients;
  if (delong->variance > 0 && !small && delong->auc < kAucNearOne) {
    const double half = TwoSidedQuantile(options.level) * std::sqrt(delong->variance);
    return Estimate{delong->auc,
                    std::max(0.0, delong->auc - half),
                    std::min(1.0, delong->auc + half),
                    options.level,
                    CountPatients(cases),
                    "delong"};
  }
  if (delong->variance > 0) {
    if (Estimable<Estimate> bootstrap = BootstrapMetric(metric, cases, 0, options); HasWidth(bootstrap)) {
      return bootstrap;
    }
  }
  return NewcombeAuc(delong->auc, patients.positives, patients.negatives, options.level);
}

// Whether a metric is a share of the cases for which `counts` holds, those being right for which `right` holds.
struct ShareOf {
  bool (*counts)(bool label, bool called);
  bool (*right)(bool label, bool called);
  bool depends_on_prevalence;
};

const ShareOf* FindShare(std::string_view metric) {
  static constexpr auto kRight = [](bool label, bool called) { return label == called; };
  static constexpr std::pair<std::string_view, ShareOf> kShares[] = {
      {"sensitivity", {[](bool label, bool) { return label; }, kRight, false}},
      {"specificity", {[](bool label, bool) { return !label; }, kRight, false}},
      {"ppv", {[](bool, bool called) { return called; }, kRight, true}},
      {"npv", {[](bool, bool called) { return !called; }, kRight, true}},
  };
  for (const auto& [name, share] : kShares) {
    if (name == metric) {
      return &share;
    }
  }
  return nullptr;
}

// Of a PPV the number of patients called is itself chance, and so is how many of them have the condition: patients are
// drawn from all alike. A sensitivity is a share of given patients.
Estimable<Estimate> BootstrapShare(const Metric& metric, const ShareOf& share, CaseSpan cases, CaseSpan counted,
                                   double threshold, const BootstrapOptions& options) {
  if (!share.depends_on_prevalence) {
    return BootstrapMetric(metric, counted, threshold, options);
  }
  const SortedCases sorted(cases);
  return Bootstrap(PatientSampler::FromAll(sorted), metric.of_resamples(sorted, threshold), options);
}

Estimable<Estimate> EstimateShare(const Metric& metric, const ShareOf& share, CaseSpan cases, double threshold,
                                  const BootstrapOptions& options) {
  const Estimable<double> value = metric.compute(cases, threshold);
  if (!value.ok()) {
    return value.reason();
  }
  const Cases counted = Select(cases, [&](const Case& one) { return share.counts(one.label, one.score >= threshold); });
  const uint64_t right = std::count_if(counted.begin(), counted.end(),
                                       [&](const Case& one) { return share.right(one.label, one.score >= threshold); });
  const uint64_t patients = CountPatients(counted);
  if (patients == counted.size()) {
    return Wilson(right, counted.size(), options.level);
  }
  Estimable<Estimate> bootstrap = BootstrapShare(metric, share, cases, counted, threshold, options);
  if (HasWidth(bootstrap)) {
    Estimate estimate = *bootstrap;
    estimate.n = patients;
    return estimate;
  }
  // Every patient gives the same share: Wilson's interval for that many independent patients.
  const auto right_patients = static_cast<uint64_t>(std::llround(*value * static_cast<double>(patients)));
  Estimate estimate = *Wilson(right_patients, patients, options.level);
  return Estimate{
      *value,           std::min(estimate.lower, *value), std::max(estimate.upper, *value), options.level, patients,
      "wilson_patients"};
}

Estimable<Estimate> EstimateAucDifference(CaseSpan cases, absl::Span<const double> other_scores, double level) {
  const Estimable<AucDifference> delong = DeLongPaired(cases, other_scores);
  if (!delong.ok()) {
    return delong.reason();
  }
  const uint64_t n = CountPatients(cases);
  const double difference = delong->difference;
  if (delong->variance > 0) {
    const double half = TwoSidedQuantile(level) * std::sqrt(delong->variance);
    return Estimate{difference,     std::max(-1.0, difference - half), std::min(1.0, difference + half), level, n,
                    "delong_paired"};
  }
  const double auc = DeLong(cases)->auc;
  const ClassPatients patients = CountClassPatients(cases);
  const Estimate ours = NewcombeAuc(auc, patients.positives, patients.negatives, level);
  const Estimate theirs = NewcombeAuc(auc - difference, patients.positives, patients.negatives, level);
  return Estimate{difference,
                  std::max(-1.0, difference - std::hypot(ours.value - ours.lower, theirs.upper - theirs.value)),
                  std::min(1.0, difference + std::hypot(ours.upper - ours.value, theirs.value - theirs.lower)),
                  level,
                  n,
                  "mover"};
}

Estimable<Estimate> BootstrapDifference(const Metric& metric, CaseSpan cases, absl::Span<const double> other_scores,
                                        double threshold, double other_threshold, const BootstrapOptions& options) {
  const SortedCases sorted(cases);
  Cases in_our_order;
  for (size_t i = 0; i < sorted.size(); ++i) {
    in_our_order.push_back(sorted.cases()[i]);
    in_our_order.back().score = other_scores[sorted.order()[i]];
  }
  const SortedCases other_sorted(in_our_order);
  const WeightedStatistic ours = metric.of_resamples(sorted, threshold);
  const WeightedStatistic theirs = metric.of_resamples(other_sorted, other_threshold);
  const Estimable<Estimate> estimate = Bootstrap(
      PatientSampler::ByClass(sorted),
      [&](Weights weights) -> Estimable<double> {
        thread_local std::vector<Weight> reordered;
        reordered.clear();
        for (uint32_t position : other_sorted.order()) {
          reordered.push_back(weights[position]);
        }
        const Estimable<double> first = ours(weights);
        const Estimable<double> second = theirs(reordered);
        if (!first.ok() || !second.ok()) {
          return first.ok() ? second.reason() : first.reason();
        }
        return *first - *second;
      },
      options);
  if (estimate.ok() && !HasWidth(estimate)) {
    return Reason::kTooFewPatients;
  }
  return estimate;
}

bool SameScores(CaseSpan cases, absl::Span<const double> other_scores) {
  for (size_t i = 0; i < cases.size(); ++i) {
    if (cases[i].score != other_scores[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace

Estimable<Estimate> EstimateMetric(const Metric& metric, CaseSpan cases, double threshold,
                                   const BootstrapOptions& bootstrap) {
  if (metric.name == "auc") {
    return EstimateAuc(metric, cases, bootstrap);
  }
  if (const ShareOf* share = FindShare(metric.name)) {
    return EstimateShare(metric, *share, cases, threshold, bootstrap);
  }
  return BootstrapMetric(metric, cases, threshold, bootstrap);
}

Estimable<Estimate> EstimateDifference(const Metric& metric, CaseSpan cases, absl::Span<const double> other_scores,
                                       double threshold, double other_threshold, const BootstrapOptions& bootstrap) {
  const Estimable<double> ours = metric.compute(cases, threshold);
  if (!ours.ok()) {
    return ours.reason();
  }
  if (SameScores(cases, other_scores) && (!metric.at_threshold || threshold == other_threshold)) {
    return Estimate{0, 0, 0, bootstrap.level, CountPatients(cases), "identical_scores"};
  }
  if (metric.name == "auc") {
    return EstimateAucDifference(cases, other_scores, bootstrap.level);
  }
  if (metric.name == "sensitivity" || metric.name == "specificity") {
    const bool label = metric.name == "sensitivity";
    PairedCounts counts;
    Cases counted;
    for (size_t i = 0; i < cases.size(); ++i) {
      if (cases[i].label == label) {
        counted.push_back(cases[i]);
        const bool first = (cases[i].score >= threshold) == label;
        const bool second = (other_scores[i] >= other_threshold) == label;
        ++(first ? (second ? counts.both : counts.only_first) : (second ? counts.only_second : counts.neither));
      }
    }
    if (OneCasePerPatient(counted)) {
      return PairedProportionDifference(counts, bootstrap.level);
    }
  }
  return BootstrapDifference(metric, cases, other_scores, threshold, other_threshold, bootstrap);
}

Estimate NewcombeAuc(double auc, uint64_t m, uint64_t n, double level) {
  const double positives = static_cast<double>(m);
  const double negatives = static_cast<double>(n);
  const double z = TwoSidedQuantile(level);
  // Hanley and McNeil's variance at the bound itself, both class sizes replaced by their mean in its numerator.
  auto half_width = [&](double theta) {
    const double spread = 1 + (0.5 * (positives + negatives) - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta));
    return z * std::sqrt(theta * (1 - theta) / (positives * negatives) * spread);
  };
  auto solve = [&](double end) {  // |auc - theta| = half_width(theta) between auc and `end`
    double near = auc;
    double far = end;
    for (int i = 0; i < 100; ++i) {
      const double middle = 0.5 * (near + far);
      (std::abs(auc - middle) < half_width(middle) ? near : far) = middle;
    }
    return far;
  };
  return Estimate{auc, auc <= 0 ? 0 : solve(0), auc >= 1 ? 1 : solve(1), level, m + n, "newcombe"};
}

}  // namespace cloister::eval
