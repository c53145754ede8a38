// SPDX-License-Identifier: Apache-2.0
#include "eval/federated/gates.h"

#include <fmt/core.h>

#include "eval/metrics/metric.h"

namespace cloister::eval {
namespace {

std::string WhyNot(const Disclosed<Estimate>& number) {
  if (number.suppressed()) {
    return "the site does not disclose it (small cells)";
  }
  return fmt::format("not estimable ({})", ReasonCode(number.reason()));
}

Disclosed<Estimate> Find(const std::map<std::string, Disclosed<Estimate>>& numbers, const std::string& metric) {
  const auto found = numbers.find(metric);
  return found == numbers.end() ? Disclosed<Estimate>(Reason::kNotMeasured) : found->second;
}

}  // namespace

absl::Status CheckGate(const Gate& gate) {
  const Metric* metric = FindMetric(gate.metric);
  std::string known;
  for (const Metric& one : AllMetrics()) {
    if (one.higher_is_better) {
      known += (known.empty() ? "" : ", ") + std::string(one.name);
    }
  }
  if (metric == nullptr || !metric->higher_is_better) {
    return absl::InvalidArgumentError(fmt::format("gate on \"{}\"; allowed: {}", gate.metric, known));
  }
  if (!(gate.bound >= 0 && gate.bound <= 1)) {
    return absl::InvalidArgumentError(fmt::format("gate on {}: {} is outside [0, 1]", gate.metric, gate.bound));
  }
  return absl::OkStatus();
}

std::string GateInWords(const Gate& gate) {
  const char* scope = gate.scope == Gate::Scope::kPerSite ? "at every site" : "over all sites";
  if (gate.comparison == Gate::Comparison::kNonInferior) {
    return fmt::format("{} {}: not worse than the local-only model by {} or more (one-sided 97.5%)", gate.metric, scope,
                       gate.bound);
  }
  return fmt::format("{} {}: {} at least {}", gate.metric, scope,
                     gate.use == Gate::Using::kLowerBound ? "lower bound of the 95% interval" : "estimate", gate.bound);
}

std::string_view OutcomeCode(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPass:
      return "pass";
    case Outcome::kFail:
      return "fail";
    case Outcome::kNotEstimable:
      break;
  }
  return "not_estimable";
}

std::optional<Outcome> ParseOutcome(std::string_view code) {
  for (Outcome outcome : {Outcome::kPass, Outcome::kFail, Outcome::kNotEstimable}) {
    if (OutcomeCode(outcome) == code) {
      return outcome;
    }
  }
  return std::nullopt;
}

Verdict Decide(const Gate& gate, const GateNumbers& numbers) {
  const bool difference = gate.comparison == Gate::Comparison::kNonInferior;
  Verdict verdict;
  verdict.basis = Find(difference ? numbers.minus_local_only : numbers.metrics, gate.metric);
  const std::string what = difference ? gate.metric + " minus local-only" : gate.metric;
  if (!verdict.basis.ok()) {
    verdict.reason = what + ": " + WhyNot(verdict.basis);
    return verdict;
  }
  const Estimate& estimate = *verdict.basis;
  if (difference) {
    const bool pass = estimate.lower > -gate.bound;
    verdict.outcome = pass ? Outcome::kPass : Outcome::kFail;
    verdict.reason = fmt::format("{}: lower bound {:.4f} (estimate {:.4f}, n {}) {} {:.4f}", what, estimate.lower,
                                 estimate.value, estimate.n, pass ? ">" : "<=", -gate.bound);
    return verdict;
  }
  const bool by_bound = gate.use == Gate::Using::kLowerBound;
  const bool pass = (by_bound ? estimate.lower : estimate.value) >= gate.bound;
  verdict.outcome = pass ? Outcome::kPass : Outcome::kFail;
  verdict.reason = by_bound ? fmt::format("{}: lower bound {:.4f} (estimate {:.4f}, n {}) {} {:.4f}", what,
                                          estimate.lower, estimate.value, estimate.n, pass ? ">=" : "<", gate.bound)
                            : fmt::format("{}: estimate {:.4f} (n {}) {} {:.4f}", what, estimate.value, estimate.n,
                                          pass ? ">=" : "<", gate.bound);
  return verdict;
}

}  // namespace cloister::eval
