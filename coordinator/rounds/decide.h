#pragma once
// SPDX-License-Identifier: Apache-2.0
// From the totals of a validation and the sites' summaries to a decision: which candidates pass the plan's gates, which
// of them become members of the ensemble, and, after calibration, the operating point. Pure.

#include <absl/types/span.h>

#include <map>
#include <string>
#include <vector>

#include "eval/federated/gates.h"
#include "eval/federated/site_summary.h"
#include "protocols/base/ids.h"
#include "protocols/base/status.h"
#include "protocols/plan/documents.h"
#include "protocols/plan/experiment.h"
#include "protocols/plan/sums.h"

namespace cloister::coordinator {

struct Validation {
  std::vector<plan::SumModel> models;                                    // of the step
  std::vector<uint64_t> totals;                                          // of the vector "counters"
  std::vector<SiteId> survivors;                                         // whose patients are in the totals
  std::map<SiteId, std::map<std::string, eval::SiteSummary>> summaries;  // by model id; a site or model may be missing
};

struct Decision {
  std::vector<plan::GateResult> gates;  // every gate for every candidate, pooled or for each survivor
  std::vector<std::string> members;     // of the ensemble, best first; empty: nothing passed
  std::string note;                     // one line for people
};

// A candidate passes when no gate fails, no pooled gate is without a number, and every per-site gate passed at one site
// or more (a site with one class cannot judge and does not veto). Sensitivity and specificity are pooled at the
// threshold that the candidate's own tuning histogram gives; per site they are decided at the site, when it verifies
// the release. Members: the best ensemble.members of those that pass, by pooled AUC on the tuning split; a tie goes to
// the later round. INVALID_ARGUMENT: totals that are no sum of histograms, or a gate of an unknown metric.
absl::StatusOr<Decision> DecideCandidates(const plan::Experiment& experiment, const Validation& validation);

// Can the gates be decided at all? INVALID_ARGUMENT names the one that cannot.
absl::Status CheckGates(const plan::Experiment& experiment);

// The counters of the tuning histogram of `member`, alone, in the totals of a validation of `models`. INVALID_ARGUMENT:
// the totals do not fit the models, or it is none of the candidates.
absl::StatusOr<std::vector<uint64_t>> TuningCounters(const plan::Experiment& experiment,
                                                     const std::vector<plan::SumModel>& models,
                                                     absl::Span<const uint64_t> totals, const std::string& member);

struct OperatingPoint {
  double threshold = 0;  // a score at or above it is positive
  std::string rule;      // in words, with what it gave on the tuning patients
};
// From the totals of the calibration, or TuningCounters of the only member. FAILED_PRECONDITION: not estimable, and
// why. INVALID_ARGUMENT: no histogram.
absl::StatusOr<OperatingPoint> ChooseOperatingPoint(const plan::Experiment& experiment,
                                                    absl::Span<const uint64_t> totals);

}  // namespace cloister::coordinator
