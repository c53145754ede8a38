#pragma once
// SPDX-License-Identifier: Apache-2.0
// Differential privacy of the unit site: the noise that the sites add to their updates before they are summed, and
// what all sums of an experiment then tell of one site. What it covers, and what not: docs/quantization.md.

#include <cstdint>

#include "protocols/plan/experiment.h"
#include "protocols/update/quant_plan.h"

namespace cloister::plan {

inline bool HasSiteUnit(const Experiment& experiment) {
  return experiment.privacy.differential_privacy.has_value() &&
         experiment.privacy.differential_privacy->unit == kSiteUnit;
}

// In units of the grid that `quantizer.scale` makes, one for all tensors.
struct SiteNoise {
  update::QuantPlan quantizer;  // the finest with room for the noise of sites.maximum sites
  uint64_t shares = 0;          // m: of the smallest sum, those that neither coordinator nor colluders know
  uint64_t variance = 0;        // of one share; m of them have noise_multiplier * clip_norm as standard deviation
  double most_norm = 0;         // L2 norm of what one site adds, after rounding: drawn again until it holds

  double local_sigma() const;
};

// INVALID_ARGUMENT: the plan's unit is not the site, or it is not frozen yet (no parameters). FAILED_PRECONDITION: the
// ring has no room for a share of privacy::kMinLocalSigma units and the updates beside it; with the numbers.
absl::StatusOr<SiteNoise> SiteNoiseOf(const Experiment& experiment);

// The epsilon, at the plan's delta, of the sums of `rounds` training rounds in which a site took part, for what it
// added: it is as likely, up to this, that the site added zeros. A pure function of the plan. Codes as SiteNoiseOf;
// INVALID_ARGUMENT also for no rounds.
absl::StatusOr<double> SiteEpsilon(const Experiment& experiment, uint64_t rounds);

// May the experiment run to its end? FAILED_PRECONDITION: all its rounds cost more than max_epsilon; with both numbers.
// OK for plans of another unit or none.
absl::Status CheckSiteEpsilon(const Experiment& experiment);

}  // namespace cloister::plan
