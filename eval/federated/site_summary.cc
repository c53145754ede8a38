// SPDX-License-Identifier: Apache-2.0
#include "eval/federated/site_summary.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "eval/metrics/metric.h"
#include "eval/stats/interval.h"

namespace cloister::eval {
namespace {

struct PatientCounts {
  uint64_t patients = 0;
  uint64_t positives = 0;  // with at least one positive case
  // Patients with at least one case in each cell of the table.
  uint64_t true_positives = 0;
  uint64_t misses = 0;
  uint64_t true_negatives = 0;
  uint64_t false_alarms = 0;
};

PatientCounts CountByPatient(CaseSpan cases, std::optional<double> threshold) {
  struct Seen {
    bool positive = false;
    bool cell[2][2] = {};  // [label][called]
  };
  std::map<uint32_t, Seen> seen;
  for (const Case& one : cases) {
    Seen& patient = seen[one.patient];
    patient.positive |= one.label;
    if (threshold) {
      patient.cell[one.label ? 1 : 0][one.score >= *threshold ? 1 : 0] = true;
    }
  }
  PatientCounts counts;
  for (const auto& [patient, what] : seen) {
    ++counts.patients;
    counts.positives += what.positive;
    counts.true_positives += what.cell[1][1];
    counts.misses += what.cell[1][0];
    counts.true_negatives += what.cell[0][0];
    counts.false_alarms += what.cell[0][1];
  }
  return counts;
}

absl::Status CheckInput(const SummaryInput& input) {
  CLOISTER_RETURN_IF_ERROR(CheckCases(input.cases));
  if (!input.local_only_scores.empty() && input.local_only_scores.size() != input.cases.size()) {
    return absl::InvalidArgumentError(fmt::format("{} scores of the local-only model for {} cases",
                                                  input.local_only_scores.size(), input.cases.size()));
  }
  for (double score : input.local_only_scores) {
    if (!(score >= 0 && score <= 1)) {
      return absl::InvalidArgumentError("a score of the local-only model is not a number in [0, 1]");
    }
  }
  return absl::OkStatus();
}

Disclosed<Estimate> Measure(const SummaryInput& input, const Metric& metric) {
  if (metric.at_threshold && !input.threshold) {
    return Reason::kNotMeasured;
  }
  return EstimateMetric(metric, input.cases, input.threshold.value_or(0), input.bootstrap);
}

Disclosed<Estimate> MeasureDifference(const SummaryInput& input, const Metric& metric) {
  if (input.local_only_scores.empty()) {
    return Reason::kNoBaseline;
  }
  if (metric.at_threshold && !input.threshold) {
    return Reason::kNotMeasured;
  }
  const double threshold = input.threshold.value_or(0);
  return EstimateDifference(metric, input.cases, input.local_only_scores, threshold,
                            input.local_only_threshold.value_or(threshold), input.bootstrap);
}

Disclosed<Estimate> LocalOnlyAuc(const SummaryInput& input) {
  if (input.local_only_scores.empty()) {
    return Reason::kNoBaseline;
  }
  Cases cases(input.cases.begin(), input.cases.end());
  for (size_t i = 0; i < cases.size(); ++i) {
    cases[i].score = input.local_only_scores[i];
  }
  return EstimateMetric(*FindMetric("auc"), cases, 0, input.bootstrap);
}

std::vector<Outcome> SiteVerdicts(const SummaryInput& input, const GateNumbers& numbers) {
  std::vector<Outcome> verdicts;
  for (const Gate& gate : input.gates) {
    if (gate.scope == Gate::Scope::kPerSite) {
      verdicts.push_back(Decide(gate, numbers).outcome);
    }
  }
  return verdicts;
}

void SuppressEstimates(SiteSummary& summary) {
  for (Disclosed<Estimate>* estimate :
       {&summary.auc, &summary.auc_local_only, &summary.auc_difference, &summary.sensitivity, &summary.specificity}) {
    *estimate = Suppressed{};
  }
}

}  // namespace

absl::StatusOr<GateNumbers> MeasureForGates(const SummaryInput& input) {
  CLOISTER_RETURN_IF_ERROR(CheckInput(input));
  GateNumbers numbers;
  for (const Gate& gate : input.gates) {
    CLOISTER_RETURN_IF_ERROR(CheckGate(gate));
    const Metric& metric = *FindMetric(gate.metric);
    if (gate.scope == Gate::Scope::kPooled) {
      continue;
    }
    if (gate.comparison == Gate::Comparison::kNonInferior) {
      numbers.minus_local_only.insert_or_assign(gate.metric, MeasureDifference(input, metric));
    } else {
      numbers.metrics.insert_or_assign(gate.metric, Measure(input, metric));
    }
  }
  return numbers;
}

absl::StatusOr<SiteSummary> Summarise(const SummaryInput& input, MinimumCell minimum_cell) {
  CLOISTER_ASSIGN_OR_RETURN(const GateNumbers numbers, MeasureForGates(input));
  const PatientCounts counts = CountByPatient(input.cases, input.threshold);
  const uint64_t negatives = counts.patients - counts.positives;
  SiteSummary summary;
  summary.model = input.model;
  summary.threshold = input.threshold;
  summary.verdicts = SiteVerdicts(input, numbers);
  auto small = [&](uint64_t patients) { return patients > 0 && !minimum_cell.Allows(patients); };
  if (!minimum_cell.Allows(counts.patients)) {
    SuppressEstimates(summary);
    return summary;
  }
  summary.patients = counts.patients;
  if (small(counts.positives) || small(negatives)) {
    SuppressEstimates(summary);
    return summary;
  }
  summary.positives = counts.positives;
  summary.negatives = negatives;
  summary.auc = Measure(input, *FindMetric("auc"));
  summary.auc_local_only = LocalOnlyAuc(input);
  summary.auc_difference = MeasureDifference(input, *FindMetric("auc"));
  summary.sensitivity = Measure(input, *FindMetric("sensitivity"));
  summary.specificity = Measure(input, *FindMetric("specificity"));
  // Here a cell of nobody is small too: "no misses" is as exact a statement as "one miss".
  if (summary.sensitivity.ok() &&
      (!minimum_cell.Allows(counts.true_positives) || !minimum_cell.Allows(counts.misses))) {
    summary.sensitivity = Suppressed{};
  }
  if (summary.specificity.ok() &&
      (!minimum_cell.Allows(counts.true_negatives) || !minimum_cell.Allows(counts.false_alarms))) {
    summary.specificity = Suppressed{};
  }
  return summary;
}

GateNumbers NumbersOf(const SiteSummary& summary) {
  GateNumbers numbers;
  numbers.metrics = {{"auc", summary.auc}, {"sensitivity", summary.sensitivity}, {"specificity", summary.specificity}};
  numbers.minus_local_only = {{"auc", summary.auc_difference}};
  return numbers;
}

Verdict DecideForSite(const Gate& gate, size_t index, const SiteSummary& summary) {
  Verdict verdict = Decide(gate, NumbersOf(summary));
  const bool disclosed =
      !verdict.basis.suppressed() && !(verdict.basis.not_estimable() && verdict.basis.reason() == Reason::kNotMeasured);
  if (disclosed || index >= summary.verdicts.size()) {
    return verdict;
  }
  verdict.outcome = summary.verdicts[index];
  verdict.reason = fmt::format("{}: the site's own verdict, on numbers it does not disclose", gate.metric);
  return verdict;
}

Estimable<Estimate> PooledAucDifference(absl::Span<const SiteSummary> summaries) {
  double weights = 0;
  double sum = 0;
  double below = 0;
  double above = 0;
  uint64_t patients = 0;
  double level = 0.95;
  for (const SiteSummary& site : summaries) {
    if (!site.auc_difference.ok() || !site.positives.ok() || !site.negatives.ok()) {
      continue;
    }
    const Estimate& difference = *site.auc_difference;
    const double weight = static_cast<double>(*site.positives) * static_cast<double>(*site.negatives);
    weights += weight;
    sum += weight * difference.value;
    below += weight * weight * (difference.value - difference.lower) * (difference.value - difference.lower);
    above += weight * weight * (difference.upper - difference.value) * (difference.upper - difference.value);
    patients += difference.n;
    level = difference.level;
  }
  if (weights <= 0) {
    return Reason::kNoBaseline;
  }
  const double value = sum / weights;
  return Estimate{value,
                  std::max(-1.0, value - std::sqrt(below) / weights),
                  std::min(1.0, value + std::sqrt(above) / weights),
                  level,
                  patients,
                  "stratified_mover"};
}

}  // namespace cloister::eval
