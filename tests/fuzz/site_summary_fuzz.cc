// SPDX-License-Identifier: Apache-2.0
// What another hospital says of a model. What is accepted has one form, and whatever is computed from it is a number.
#include "eval/federated/site_summary.h"

#include <cmath>

#include "tests/fuzz/target.h"

namespace cloister::fuzz {

void FuzzOne(ByteView input) {
  const absl::StatusOr<eval::SiteSummary> summary = eval::ParseSummary(Bytes(input));
  if (!summary.ok()) return;
  const std::string json = eval::SummaryJson(*summary);
  const absl::StatusOr<eval::SiteSummary> again = eval::ParseSummary(json);
  Require(again.ok(), "an accepted summary can be written and read again");
  RequireSame(eval::SummaryJson(*again), json, "and is the same");
  const std::vector<eval::SiteSummary> summaries = {*summary, *again};
  const eval::Estimable<eval::Estimate> pooled = eval::PooledAucDifference(summaries);
  if (pooled.ok()) {
    Require(std::isfinite(pooled->value) && pooled->lower <= pooled->value && pooled->value <= pooled->upper,
            "a pooled difference lies within its bounds");
  }
  const eval::Gate gate{"auc", {}, eval::Gate::Comparison::kNonInferior, {}, 0.02};
  for (size_t index = 0; index <= summary->verdicts.size(); ++index) eval::DecideForSite(gate, index, *summary);
}

std::vector<Bytes> Seeds() {
  eval::SiteSummary summary;
  summary.patients = uint64_t{120};
  summary.positives = uint64_t{50};
  summary.negatives = uint64_t{70};
  summary.auc = eval::Estimate{0.9, 0.8, 0.95, 0.95, 120, "delong"};
  summary.auc_local_only = eval::Estimate{0.85, 0.75, 0.9, 0.95, 120, "delong"};
  summary.auc_difference = eval::Estimate{0.05, -0.01, 0.1, 0.95, 120, "bootstrap"};
  summary.threshold = 0.5;
  summary.sensitivity = eval::Estimate{0.8, 0.7, 0.9, 0.95, 50, "wilson"};
  summary.specificity = eval::Reason::kNotMeasured;
  summary.verdicts = {eval::Outcome::kPass, eval::Outcome::kFail};
  eval::SiteSummary suppressed;
  for (auto* estimate : {&suppressed.auc, &suppressed.auc_local_only, &suppressed.auc_difference,
                         &suppressed.sensitivity, &suppressed.specificity}) {
    *estimate = eval::Suppressed{};
  }
  return {eval::SummaryJson(summary), eval::SummaryJson(suppressed)};
}

}  // namespace cloister::fuzz
