#pragma once
// SPDX-License-Identifier: Apache-2.0
// What an offered plan with differential privacy costs at this site, before anybody decides, the promise to it once the
// site accepts, and what each round spends of it. The numbers stand in the ledger (storage/privacy_table.h), where
// command line and portal read them.

#include <map>
#include <optional>

#include "protocols/plan/experiment.h"
#include "site_agent/agent/site_context.h"

namespace cloister::site {

// What the policy allows all experiments together; nothing: no limit.
std::optional<PrivacyBound> BoundOf(const Policy& policy);

class PrivacyDesk {
 public:
  PrivacyDesk(const SiteContext* site, JobId job) : site_(site), job_(std::move(job)) {}

  // Of a plan with differential privacy. While no cohort of the task has been built, the plan's own bound is what it
  // asks for; then it is computed for the training patients that a cohort of that size has, and for exactly those of
  // the frozen cohort once there is one. Noted as a quote. Takes up to a few seconds when the number of patients is
  // new.
  absl::StatusOr<PrivacyFacts> FactsOf(const plan::Experiment& plan);
  // Codes as PrivacyTable::Promise, and those of plan::EpsilonOfPlan. OK for a plan without differential privacy.
  absl::Status Promise(const plan::Experiment& plan, const FrozenCohort& cohort);
  // Notes what `training` (TrainingDigest) costs, before anything is computed from the patients; once, however often it
  // is asked. Codes as PrivacyTable::Spend.
  absl::Status Spend(const plan::Experiment& plan, const FrozenCohort& cohort, const Digest& training);

 private:
  std::optional<int> TrainingPatients(const plan::Experiment& plan) const;
  absl::StatusOr<plan::PlanEpsilon> Cost(const plan::Experiment& plan, int training_patients);
  PrivacyRow RowOf(const plan::Experiment& plan, const plan::PlanEpsilon& cost, int training_patients) const;

  const SiteContext* site_;
  JobId job_;
  std::map<int, absl::StatusOr<plan::PlanEpsilon>> costs_;  // by training patients
  std::optional<int> quoted_;                               // the training patients of the quote in the ledger
};

}  // namespace cloister::site
