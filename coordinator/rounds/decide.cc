// SPDX-License-Identifier: Apache-2.0
#include "coordinator/rounds/decide.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/federated/operating_point.h"
#include "eval/federated/pooled.h"

namespace cloister::coordinator {
namespace {

using eval::ScoreHistogram;

eval::Gate ToEval(const plan::Gate& gate) {
  eval::Gate out;
  out.metric = gate.metric;
  out.scope = gate.per_site ? eval::Gate::Scope::kPerSite : eval::Gate::Scope::kPooled;
  out.comparison = gate.versus.empty() ? eval::Gate::Comparison::kAtLeast : eval::Gate::Comparison::kNonInferior;
  out.use = gate.statistic == "estimate" ? eval::Gate::Using::kEstimate : eval::Gate::Using::kLowerBound;
  out.bound = gate.versus.empty() ? gate.at_least : gate.margin;
  return out;
}

// One candidate with everything the gates may ask for.
struct Candidate {
  plan::SumModel model;
  size_t position = 0;  // among the models
  ScoreHistogram test;
  ScoreHistogram tuning;
  double tuning_auc = -1;  // -1: not estimable
};

absl::StatusOr<ScoreHistogram> SlotHistogram(const plan::Experiment& experiment, absl::Span<const uint64_t> totals,
                                             size_t slot) {
  const size_t size = plan::HistogramCounters(experiment);
  return ScoreHistogram::FromCounters(experiment.evaluation.histogram_bins, totals.subspan(slot * size, size));
}

absl::StatusOr<std::vector<Candidate>> ReadCandidates(const plan::Experiment& experiment,
                                                      const Validation& validation) {
  const std::vector<plan::HistogramSlot> slots = plan::HistogramSlots(plan::SumKind::kValidate, validation.models);
  if (validation.totals.size() != slots.size() * plan::HistogramCounters(experiment)) {
    return absl::InvalidArgumentError(
        fmt::format("validation: {} counters do not make {} histograms", validation.totals.size(), slots.size()));
  }
  std::map<size_t, ScoreHistogram> test;
  std::vector<Candidate> candidates;
  for (size_t slot = 0; slot < slots.size(); ++slot) {
    const size_t position = slots[slot].members.front();
    if (validation.models[position].baseline) {
      continue;
    }
    CLOISTER_ASSIGN_OR_RETURN(ScoreHistogram histogram, SlotHistogram(experiment, validation.totals, slot));
    if (slots[slot].split == plan::Split::kTest) {
      test.emplace(position, std::move(histogram));
      continue;
    }
    Candidate candidate{validation.models[position], position, test.at(position), std::move(histogram)};
    if (const auto auc = eval::AucFromHistogram(candidate.tuning); auc.ok()) {
      candidate.tuning_auc = auc->estimate.value;
    }
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

eval::GateNumbers PooledNumbers(const plan::Experiment& experiment, const Candidate& candidate,
                                const Validation& validation) {
  eval::GateNumbers numbers;
  const auto auc = eval::AucFromHistogram(candidate.test);
  numbers.metrics.emplace(
      "auc", auc.ok() ? eval::Disclosed<eval::Estimate>(auc->estimate) : eval::Disclosed<eval::Estimate>(auc.reason()));
  const auto rule = eval::ParseThresholdRule(experiment.ensemble.operating_point);
  if (rule.ok()) {
    const auto chosen = eval::ChooseThreshold(candidate.tuning, *rule, experiment.ensemble.target);
    if (chosen.ok()) {
      numbers.metrics.emplace("sensitivity", eval::SensitivityFromHistogram(candidate.test, chosen->threshold));
      numbers.metrics.emplace("specificity", eval::SpecificityFromHistogram(candidate.test, chosen->threshold));
    } else {
      numbers.metrics.emplace("sensitivity", chosen.reason());
      numbers.metrics.emplace("specificity", chosen.reason());
    }
  }
  std::vector<eval::SiteSummary> summaries;
  for (const SiteId& site : validation.survivors) {
    const auto at_site = validation.summaries.find(site);
    if (at_site == validation.summaries.end()) {
      continue;
    }
    if (const auto summary = at_site->second.find(candidate.model.id); summary != at_site->second.end()) {
      summaries.push_back(summary->second);
    }
  }
  numbers.minus_local_only.emplace("auc", eval::PooledAucDifference(summaries));
  return numbers;
}

eval::Verdict SiteVerdict(const eval::Gate& gate, size_t index, const SiteId& site, const Candidate& candidate,
                          const Validation& validation) {
  const auto at_site = validation.summaries.find(site);
  if (at_site == validation.summaries.end() || at_site->second.count(candidate.model.id) == 0) {
    return {eval::Outcome::kNotEstimable, "the site sent no summary"};
  }
  if (gate.metric != "auc") {
    return {eval::Outcome::kNotEstimable, "decided at the site, at the operating point, when it verifies the release"};
  }
  return eval::DecideForSite(gate, index, at_site->second.at(candidate.model.id));
}

// Adds the results of all gates for one candidate. Does it pass?
bool JudgeCandidate(const plan::Experiment& experiment, const Candidate& candidate, const Validation& validation,
                    std::vector<plan::GateResult>& results) {
  const eval::GateNumbers pooled = PooledNumbers(experiment, candidate, validation);
  bool passes = true;
  size_t per_site_index = 0;
  for (const plan::Gate& planned : experiment.gates) {
    const eval::Gate gate = ToEval(planned);
    const std::string rule = plan::GateInWords(planned);
    const auto note = [&](const std::string& scope, const eval::Verdict& verdict) {
      results.push_back(
          {rule, candidate.model.id, scope, std::string(eval::OutcomeCode(verdict.outcome)), verdict.reason});
    };
    if (!planned.per_site) {
      const eval::Verdict verdict = eval::Decide(gate, pooled);
      note("pooled", verdict);
      passes = passes && verdict.outcome == eval::Outcome::kPass;
      continue;
    }
    const size_t index = per_site_index++;
    bool passed_somewhere = gate.metric != "auc";
    for (const SiteId& site : validation.survivors) {
      const eval::Verdict verdict = SiteVerdict(gate, index, site, candidate, validation);
      note(site.value(), verdict);
      passes = passes && verdict.outcome != eval::Outcome::kFail;
      passed_somewhere = passed_somewhere || verdict.outcome == eval::Outcome::kPass;
    }
    passes = passes && passed_somewhere;
  }
  return passes;
}

std::string FirstFailure(const std::vector<plan::GateResult>& gates) {
  for (const char* verdict : {"fail", "not_estimable"}) {
    for (const plan::GateResult& gate : gates) {
      if (gate.verdict == verdict) {
        return fmt::format("{} for {} ({}): {}: {}", verdict, gate.model_id, gate.scope, gate.rule, gate.detail);
      }
    }
  }
  return "there is no candidate";
}

}  // namespace

absl::Status CheckGates(const plan::Experiment& experiment) {
  for (const plan::Gate& gate : experiment.gates) {
    CLOISTER_RETURN_IF_ERROR(Annotate(eval::CheckGate(ToEval(gate)), "gate \"" + plan::GateInWords(gate) + "\""));
  }
  return absl::OkStatus();
}

absl::StatusOr<Decision> DecideCandidates(const plan::Experiment& experiment, const Validation& validation) {
  CLOISTER_RETURN_IF_ERROR(CheckGates(experiment));
  CLOISTER_ASSIGN_OR_RETURN(std::vector<Candidate> candidates, ReadCandidates(experiment, validation));
  Decision decision;
  std::vector<const Candidate*> accepted;
  for (const Candidate& candidate : candidates) {
    if (JudgeCandidate(experiment, candidate, validation, decision.gates)) {
      accepted.push_back(&candidate);
    }
  }
  // The models are listed by round, so the later of two equals has the higher position.
  std::sort(accepted.begin(), accepted.end(), [](const Candidate* a, const Candidate* b) {
    return a->tuning_auc != b->tuning_auc ? a->tuning_auc > b->tuning_auc : a->position > b->position;
  });
  const size_t wanted = static_cast<size_t>(std::max(experiment.ensemble.members, 1));
  for (size_t i = 0; i < accepted.size() && i < wanted; ++i) {
    decision.members.push_back(accepted[i]->model.id);
  }
  decision.note = accepted.empty() ? "no candidate passed the gates: " + FirstFailure(decision.gates)
                                   : fmt::format("{} of {} candidates passed the gates; members: {}", accepted.size(),
                                                 candidates.size(), fmt::join(decision.members, ", "));
  return decision;
}

absl::StatusOr<std::vector<uint64_t>> TuningCounters(const plan::Experiment& experiment,
                                                     const std::vector<plan::SumModel>& models,
                                                     absl::Span<const uint64_t> totals, const std::string& member) {
  const size_t size = plan::HistogramCounters(experiment);
  const std::vector<plan::HistogramSlot> slots = plan::HistogramSlots(plan::SumKind::kValidate, models);
  if (totals.size() != slots.size() * size) {
    return absl::InvalidArgumentError(
        fmt::format("validation: {} counters do not make {} histograms", totals.size(), slots.size()));
  }
  for (size_t slot = 0; slot < slots.size(); ++slot) {
    if (slots[slot].split == plan::Split::kTuning && models[slots[slot].members.front()].id == member) {
      const absl::Span<const uint64_t> counters = totals.subspan(slot * size, size);
      return std::vector<uint64_t>(counters.begin(), counters.end());
    }
  }
  return absl::InvalidArgumentError("validation: " + member + " is not among the candidates");
}

absl::StatusOr<OperatingPoint> ChooseOperatingPoint(const plan::Experiment& experiment,
                                                    absl::Span<const uint64_t> totals) {
  if (totals.size() != plan::HistogramCounters(experiment)) {
    return absl::InvalidArgumentError(fmt::format("calibration: {} counters are no histogram", totals.size()));
  }
  CLOISTER_ASSIGN_OR_RETURN(const ScoreHistogram histogram, SlotHistogram(experiment, totals, 0));
  const plan::EnsembleRule& ensemble = experiment.ensemble;
  CLOISTER_ASSIGN_OR_RETURN(const eval::ThresholdRule rule, eval::ParseThresholdRule(ensemble.operating_point));
  const std::string name = rule == eval::ThresholdRule::kYouden
                               ? "greatest sensitivity + specificity - 1"
                               : fmt::format("{} at least {:.2f}", ensemble.operating_point, ensemble.target);
  const auto chosen = eval::ChooseThreshold(histogram, rule, ensemble.target);
  if (!chosen.ok()) {
    return absl::FailedPreconditionError(
        fmt::format("calibration: no operating point ({}) from {} positives and {} negatives of the tuning split: {}",
                    name, histogram.positives(), histogram.negatives(), eval::ReasonCode(chosen.reason())));
  }
  const auto sensitivity = eval::Sensitivity(chosen->tuning);
  const auto specificity = eval::Specificity(chosen->tuning);
  return OperatingPoint{
      chosen->threshold,
      fmt::format("{}; on {} tuning cases: sensitivity {}, specificity {}", name, chosen->tuning.total(),
                  sensitivity.ok() ? fmt::format("{:.2f}", *sensitivity) : "not estimable",
                  specificity.ok() ? fmt::format("{:.2f}", *specificity) : "not estimable")};
}

}  // namespace cloister::coordinator
