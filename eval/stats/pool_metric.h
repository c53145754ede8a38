#pragma once
// SPDX-License-Identifier: Apache-2.0
// A metric at each of several sites, and its random-effects mean over them.

#include <string>
#include <utility>
#include <vector>

#include "eval/metrics/case.h"
#include "eval/stats/bootstrap.h"
#include "eval/stats/random_effects.h"

namespace cloister::eval {

struct PooledMetric {
  std::string metric;
  bool logit =
      false;  // pooled on the logit scale; `pooled` is transformed back, its tau_squared and standard_error not
  std::vector<std::pair<std::string, Estimable<Estimate>>> sites;  // by name
  // kTooFewSites: fewer than five sites with a number and a variance. kNotMeasured: a share whose patients repeat.
  Estimable<RandomEffects> pooled = Reason::kNotMeasured;
};

// `metric`: "auc" (DeLong's variances; ends clipped to [0, 1]), "sensitivity" or "specificity" (logits; half a case is
// added to both cells of a site where one is empty, as metafor's escalc does). Requires a site for each case.
PooledMetric PoolMetric(std::string_view metric, CaseSpan cases, const std::vector<std::string>& site_of_case,
                        double threshold, const BootstrapOptions& bootstrap);

}  // namespace cloister::eval
