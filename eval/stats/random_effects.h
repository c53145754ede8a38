#pragma once
// SPDX-License-Identifier: Apache-2.0
// One number over several sites that differ more than chance: a random-effects mean (REML) with Hartung and Knapp's
// interval, and how much the sites differ.

#include <absl/types/span.h>

#include "eval/metrics/estimate.h"

namespace cloister::eval {

// With fewer sites neither the spread between them nor its effect on the mean can be told.
inline constexpr uint64_t kMinimumSites = 5;

struct SiteEffect {
  double value = 0;
  double variance = 0;  // of `value` within its site, > 0
};

struct RandomEffects {
  Estimate mean;              // n: sites; method "reml_hartung_knapp"
  double standard_error = 0;  // of the mean, Hartung and Knapp's
  double tau_squared = 0;     // variance between sites
  double i_squared = 0;       // share of the spread that is between sites, in [0, 1] (Higgins and Thompson)
  double q = 0;               // Cochran's, with sites - 1 degrees of freedom
  double q_p_value = 1;
  double prediction_lower = 0;  // where a new site's value would lie, at the same level
  double prediction_upper = 0;
};

// kTooFewSites: fewer than kMinimumSites. Requires finite values and positive variances.
Estimable<RandomEffects> PoolSites(absl::Span<const SiteEffect> sites, double level = 0.95);

}  // namespace cloister::eval
