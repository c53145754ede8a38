// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/privacy_desk.h"

#include "site_agent/agent/local_work.h"
#include "site_agent/cohort/cohort_report.h"

namespace cloister::site {

std::optional<PrivacyBound> BoundOf(const Policy& policy) {
  if (!policy.differential_privacy.has_value()) {
    return std::nullopt;
  }
  return PrivacyBound{policy.differential_privacy->max_epsilon, policy.differential_privacy->delta};
}

std::optional<int> PrivacyDesk::TrainingPatients(const plan::Experiment& plan) const {
  if (!HasPatientPrivacy(plan)) {
    return 0;
  }
  int patients = 0;
  if (const absl::StatusOr<FrozenCohort> frozen = site_->cohorts->Frozen(job_); frozen.ok()) {
    patients = TrainingPatientsOf(*frozen);
  } else if (const auto build = site_->store->cohorts().Build(plan.task.name); build.ok() && build->has_value()) {
    const absl::StatusOr<CohortReport> report = ParseCohortReport((*build)->report);
    if (report.ok() && report->positive_patients >= 0 && report->patients >= report->positive_patients) {
      const SplitRule rule = {plan.evaluation.tuning_share, plan.evaluation.test_share, plan.evaluation.split_seed};
      patients = static_cast<int>(
          site::TrainingPatients(static_cast<size_t>(report->positive_patients),
                                 static_cast<size_t>(report->patients - report->positive_patients), rule));
    }
  }
  return patients > 0 ? std::optional<int>(patients) : std::nullopt;
}

absl::StatusOr<plan::PlanEpsilon> PrivacyDesk::Cost(const plan::Experiment& plan, int training_patients) {
  const auto known = costs_.find(training_patients);
  if (known != costs_.end()) {
    return known->second;
  }
  return costs_
      .emplace(training_patients,
               plan::EpsilonOfPlan(plan, static_cast<uint64_t>(training_patients), plan.algorithm.rounds))
      .first->second;
}

PrivacyRow PrivacyDesk::RowOf(const plan::Experiment& plan, const plan::PlanEpsilon& cost,
                              int training_patients) const {
  const plan::DifferentialPrivacy& planned = *plan.privacy.differential_privacy;
  PrivacyRow row;
  row.job = job_;
  row.task = plan.task.name;
  row.experiment = plan.name;
  row.unit = planned.unit;
  row.epsilon = cost.epsilon;
  row.delta = cost.delta;
  row.max_epsilon = planned.max_epsilon;
  row.noise_multiplier = planned.noise_multiplier;
  row.clip_norm = planned.clip_norm;
  row.sampling_probability = cost.sampling_probability;
  row.steps = cost.steps;
  row.rounds = plan.algorithm.rounds;
  row.training_patients = training_patients;
  row.accountant = cost.accountant;
  row.updated_unix_ms = site_->NowUnixMs();
  return row;
}

absl::StatusOr<PrivacyFacts> PrivacyDesk::FactsOf(const plan::Experiment& plan) {
  PrivacyFacts facts;
  CLOISTER_ASSIGN_OR_RETURN(const PrivacyTotal others, site_->store->privacy().Total(job_));
  facts.taken_epsilon = others.taken_epsilon;
  facts.taken_delta = others.taken_delta;
  const std::optional<int> patients = TrainingPatients(plan);
  if (!patients.has_value()) {
    plan::PlanEpsilon bound;
    bound.epsilon = plan.privacy.differential_privacy->max_epsilon;
    bound.delta = plan.privacy.differential_privacy->delta;
    facts.asked = bound;
    return facts;
  }
  facts.asked = Cost(plan, *patients);
  if (facts.asked.ok() && quoted_ != patients) {
    CLOISTER_RETURN_IF_ERROR(site_->store->privacy().Quote(RowOf(plan, *facts.asked, *patients)));
    quoted_ = patients;
  }
  return facts;
}

absl::Status PrivacyDesk::Promise(const plan::Experiment& plan, const FrozenCohort& cohort) {
  if (!plan.privacy.differential_privacy.has_value()) {
    return absl::OkStatus();
  }
  const int patients = HasPatientPrivacy(plan) ? TrainingPatientsOf(cohort) : 0;
  CLOISTER_ASSIGN_OR_RETURN(const plan::PlanEpsilon cost, Cost(plan, patients));
  CLOISTER_ASSIGN_OR_RETURN(const Policy policy, site_->policy());
  return site_->store->privacy().Promise(RowOf(plan, cost, patients), BoundOf(policy));
}

absl::Status PrivacyDesk::Spend(const plan::Experiment& plan, const FrozenCohort& cohort, const Digest& training) {
  PrivacyTable& ledger = site_->store->privacy();
  CLOISTER_ASSIGN_OR_RETURN(const bool spent, ledger.IsSpent(job_, training));
  if (spent) {
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<PrivacyRow> row, ledger.Get(job_));
  CLOISTER_ASSIGN_OR_RETURN(const Policy policy, site_->policy());
  CLOISTER_ASSIGN_OR_RETURN(const plan::PlanEpsilon cost,
                            plan::EpsilonOfPlan(plan, static_cast<uint64_t>(TrainingPatientsOf(cohort)),
                                                row.has_value() ? row->trainings + 1 : 1));
  return ledger.Spend(job_, training, cost.epsilon, BoundOf(policy), site_->NowUnixMs());
}

}  // namespace cloister::site
