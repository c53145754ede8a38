#pragma once
// SPDX-License-Identifier: Apache-2.0
// What a plan with differential privacy costs: the one place where a plan's numbers become a mechanism and its epsilon.
// Sites ask before they accept, and again before each round; reports say what it answered.

#include <cstdint>
#include <string>

#include "protocols/plan/experiment.h"

namespace cloister::plan {

struct PlanEpsilon {
  double epsilon = 0;
  double delta = 0;  // the plan's
  double sampling_probability = 1;
  uint64_t steps = 0;      // noised sums that are revealed
  std::string accountant;  // "PLD" (privacy loss distribution) | "RDP" (Renyi)
};

// Of the first `rounds` rounds of `plan` for one unit, whatever its data are.
// Unit patient: at a site with `training_patients` patients in its training split, by the privacy loss distribution of
// the Poisson-sampled Gaussian. It holds for adding or removing what one patient contributes, the number of patients
// being known (docs/privacy.md).
// Unit site: plan::SiteEpsilon, the same at every site whatever `training_patients` is.
// FAILED_PRECONDITION: the plan has no differential privacy, or as SiteNoiseOf. INVALID_ARGUMENT: no rounds, no
// patients where they count, more steps than the accountant takes.
absl::StatusOr<PlanEpsilon> EpsilonOfPlan(const Experiment& plan, uint64_t training_patients, int rounds);

}  // namespace cloister::plan
