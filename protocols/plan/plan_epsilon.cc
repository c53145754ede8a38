// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/plan_epsilon.h"

#include <fmt/format.h>

#include "protocols/plan/site_privacy.h"
#include "protocols/privacy/dp_sgd.h"
#include "protocols/privacy/pld_accountant.h"

namespace cloister::plan {

absl::StatusOr<PlanEpsilon> EpsilonOfPlan(const Experiment& plan, uint64_t training_patients, int rounds) {
  if (!plan.privacy.differential_privacy.has_value()) {
    return absl::FailedPreconditionError("the plan has no differential privacy");
  }
  const DifferentialPrivacy& planned = *plan.privacy.differential_privacy;
  if (rounds < 1) {
    return absl::InvalidArgumentError(fmt::format("{} rounds have no epsilon", rounds));
  }
  if (HasSiteUnit(plan)) {
    PlanEpsilon cost;
    CLOISTER_ASSIGN_OR_RETURN(cost.epsilon, SiteEpsilon(plan, static_cast<uint64_t>(rounds)));
    cost.delta = planned.delta;
    cost.steps = static_cast<uint64_t>(rounds);
    cost.accountant = "RDP";
    return cost;
  }
  CLOISTER_ASSIGN_OR_RETURN(
      const privacy::SampledGaussian mechanism,
      privacy::DpSgd(training_patients, static_cast<uint64_t>(plan.algorithm.batch_size),
                     static_cast<uint64_t>(rounds) * static_cast<uint64_t>(plan.algorithm.local_epochs),
                     planned.noise_multiplier));
  PlanEpsilon cost;
  CLOISTER_ASSIGN_OR_RETURN(cost.epsilon, privacy::PldEpsilon(mechanism, planned.delta));
  cost.delta = planned.delta;
  cost.sampling_probability = mechanism.sampling_probability;
  cost.steps = mechanism.steps;
  cost.accountant = "PLD";
  return cost;
}

}  // namespace cloister::plan
