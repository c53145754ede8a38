#pragma once
// SPDX-License-Identifier: Apache-2.0
// The only per-site numbers that leave a hospital: a fixed form, small cells suppressed. The exact numbers stay in the
// site's own report.
//
// Suppression, with k the minimum cell and patients as the unit:
//   patients < k                        nothing but the gate verdicts is said
//   0 < positives < k or 0 < negatives < k   positives, negatives, and all estimates are suppressed; the total alone is
//   said true positives or misses < k        sensitivity is suppressed (with the positives it would give the count)
//   true negatives or false alarms < k  specificity is suppressed
// An AUC with its n is a fraction whose denominator is positives times negatives, which is why it goes when one of them
// goes. A class with no patient at all is said ("one_class"): a site must be able to say why there is no AUC.

#include <optional>
#include <string>
#include <vector>

#include "eval/federated/disclosure.h"
#include "eval/federated/gates.h"
#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"
#include "eval/stats/bootstrap.h"
#include "protocols/base/bytes.h"

namespace cloister::eval {

struct SiteSummary {
  Digest model;  // what was evaluated
  Disclosed<uint64_t> patients = Suppressed{};
  Disclosed<uint64_t> positives = Suppressed{};  // patients with at least one positive case
  Disclosed<uint64_t> negatives = Suppressed{};  // the other patients
  Disclosed<Estimate> auc = Reason::kNotMeasured;
  Disclosed<Estimate> auc_local_only = Reason::kNotMeasured;
  Disclosed<Estimate> auc_difference =
      Reason::kNotMeasured;         // model minus local-only; `lower` is the one-sided 97.5% bound
  std::optional<double> threshold;  // of sensitivity and specificity
  Disclosed<Estimate> sensitivity = Reason::kNotMeasured;
  Disclosed<Estimate> specificity = Reason::kNotMeasured;
  std::vector<Outcome> verdicts;  // of the plan's per-site gates, in the plan's order, decided on the exact numbers
};

struct SummaryInput {
  Digest model;
  CaseSpan cases;
  std::optional<double> threshold;
  absl::Span<const double> local_only_scores;  // empty: no local-only model
  std::optional<double> local_only_threshold;  // unset: `threshold`
  absl::Span<const Gate> gates;                // of the plan; pooled ones are skipped
  BootstrapOptions bootstrap;
};

// INVALID_ARGUMENT: CheckCases; lengths that differ.
absl::StatusOr<SiteSummary> Summarise(const SummaryInput& input, MinimumCell minimum_cell);

// The exact numbers that `gates` ask for: for the site's own decision and its report. INVALID_ARGUMENT as above.
absl::StatusOr<GateNumbers> MeasureForGates(const SummaryInput& input);

// What a coordinator can put into Decide for one site.
GateNumbers NumbersOf(const SiteSummary& summary);

// Decides a per-site gate at the coordinator: on the numbers where they are disclosed, else by the site's own verdict,
// whose place among the per-site gates is `index`.
Verdict DecideForSite(const Gate& gate, size_t index, const SiteSummary& summary);

// Model minus local-only over all sites: each site's AUC difference weighted by its pairs, bounds combined by MOVER.
// Sites whose numbers are suppressed or not estimable do not count. kNoBaseline: none is left.
Estimable<Estimate> PooledAucDifference(absl::Span<const SiteSummary> summaries);

// JSON with sorted keys; a suppressed value is {"suppressed": true}, a missing one {"not_estimable": "one_class"}.
std::string SummaryJson(const SiteSummary& summary);

// Strict: `json` comes from another hospital. INVALID_ARGUMENT: larger than 16 KiB, not JSON, an unknown, missing or
// repeated key, a number out of range, an interval that does not hold its estimate, counts that contradict each other,
// or a value that should have been suppressed.
absl::StatusOr<SiteSummary> ParseSummary(const std::string& json);

}  // namespace cloister::eval
