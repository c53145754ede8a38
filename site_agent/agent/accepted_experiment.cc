// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/accepted_experiment.h"

#include <fmt/format.h>

#include "protocols/crypto/hash.h"
#include "site_agent/agent/site_keys.h"

namespace cloister::site {

uint64_t AcceptedExperiment::MostModelBytes() const {
  return plan.model.parameters * sizeof(float) + (uint64_t{16} << 20);
}

absl::StatusOr<std::unique_ptr<AcceptedExperiment>> AcceptedExperiment::Load(const SiteContext& site,
                                                                             const JobId& job) {
  CLOISTER_ASSIGN_OR_RETURN(const ExperimentRow row, site.store->experiments().Get(job));
  if (row.state != ExperimentState::kAccepted) {
    return absl::FailedPreconditionError(
        fmt::format("job {} is {} at this site, not accepted", job.value(), ExperimentStateName(row.state)));
  }
  if (crypto::Sha256(row.plan) != row.plan_digest) {
    return absl::DataLossError("the stored plan does not have its digest");
  }
  CLOISTER_ASSIGN_OR_RETURN(plan::Experiment plan, plan::ParsePlan(row.plan));
  CLOISTER_ASSIGN_OR_RETURN(FrozenCohort cohort, site.cohorts->Frozen(job));
  CLOISTER_ASSIGN_OR_RETURN(crypto::SecretBytes secret, LoadJobSecret(site.config->data, job));
  CLOISTER_ASSIGN_OR_RETURN(crypto::X25519KeyPair key, SealingKey(secret));
  return std::unique_ptr<AcceptedExperiment>(new AcceptedExperiment{
      job, std::move(plan), row.plan_digest, std::move(cohort), std::move(secret), std::move(key)});
}

absl::StatusOr<std::vector<plan::Acceptance>> AcceptedExperiment::CheckAcceptances(
    const SiteContext& site, const std::vector<wire::SignedDocument>& acceptances) const {
  std::vector<plan::Acceptance> checked;
  for (const wire::SignedDocument& one : acceptances) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string signer,
                              crypto::VerifySignature(one.certificate, *site.ca, plan::kAcceptanceDomain, one.document,
                                                      one.signature, crypto::Role::kSite, site.clock->Now()));
    CLOISTER_ASSIGN_OR_RETURN(plan::Acceptance acceptance, plan::ParseAcceptance(one.document));
    if (acceptance.site.value() != signer || acceptance.plan != plan_digest) {
      return absl::UnauthenticatedError(fmt::format("the acceptance signed by {} is for another site or plan", signer));
    }
    checked.push_back(std::move(acceptance));
  }
  return checked;
}

wire::FailureReason FailureOf(const WorkerError& error) {
  switch (error.failure) {
    case WorkerFailure::kCrashed:
    case WorkerFailure::kCannotStart:
      return wire::FailureReason::kWorkerCrashed;
    case WorkerFailure::kTimedOut:
      return wire::FailureReason::kWorkerTimedOut;
    case WorkerFailure::kOutOfMemory:
      return wire::FailureReason::kOutOfMemory;
    case WorkerFailure::kDiskFull:
      return wire::FailureReason::kDiskFull;
    case WorkerFailure::kNotFinite:
      return wire::FailureReason::kNotFinite;
    case WorkerFailure::kModelInvalid:
      return wire::FailureReason::kModelInvalid;
    case WorkerFailure::kInternal:
    case WorkerFailure::kStopped:
      return wire::FailureReason::kInternal;
  }
  return wire::FailureReason::kInternal;
}

wire::FailureReason FailureOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return wire::FailureReason::kDiskFull;
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kNotFound:
      return wire::FailureReason::kModelInvalid;
    case absl::StatusCode::kOutOfRange:
      return wire::FailureReason::kNotFinite;
    default:
      return wire::FailureReason::kInternal;
  }
}

}  // namespace cloister::site
