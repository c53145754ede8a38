#pragma once
// SPDX-License-Identifier: Apache-2.0
// Pre-registered acceptance rules and their verdicts. Pure: numbers in, verdict out. Where the numbers come from (one
// site's cases, a site's summary, summed histograms) is the caller's business.

#include <map>
#include <string>
#include <vector>

#include "eval/federated/disclosure.h"
#include "eval/metrics/estimate.h"
#include "protocols/base/status.h"

namespace cloister::eval {

struct Gate {
  enum class Scope { kPerSite, kPooled };
  enum class Comparison {
    kAtLeast,      // the estimate, or its lower bound, >= bound
    kNonInferior,  // lower bound of (model - local-only) > -bound
  };
  enum class Using { kEstimate, kLowerBound };  // two-sided 95%, so one-sided 97.5%

  std::string metric;  // a name of eval/metrics/metric.h where higher is better
  Scope scope = Scope::kPerSite;
  Comparison comparison = Comparison::kAtLeast;
  Using use = Using::kLowerBound;  // kNonInferior always uses the lower bound
  double bound = 0;                // kAtLeast: the value to reach; kNonInferior: the margin, >= 0
};

// INVALID_ARGUMENT: unknown metric (names the known ones), one where lower is better, or a bound outside [0, 1].
absl::Status CheckGate(const Gate& gate);

// "sensitivity at every site: lower bound of the 95% interval at least 0.85"
std::string GateInWords(const Gate& gate);

enum class Outcome { kPass, kFail, kNotEstimable };
std::string_view OutcomeCode(Outcome outcome);  // pass, fail, not_estimable
std::optional<Outcome> ParseOutcome(std::string_view code);

struct Verdict {
  Outcome outcome = Outcome::kNotEstimable;
  std::string reason;  // one line with the numbers: "lower bound 0.8712 (estimate 0.9210, n 214) >= 0.8500"
  Disclosed<Estimate> basis = Reason::kNotMeasured;  // what was decided on
};

// What is known in the gate's scope, by metric name. A metric that is not there is not estimable ("not_measured").
struct GateNumbers {
  std::map<std::string, Disclosed<Estimate>> metrics;
  std::map<std::string, Disclosed<Estimate>> minus_local_only;
};

Verdict Decide(const Gate& gate, const GateNumbers& numbers);

}  // namespace cloister::eval
