#pragma once
// SPDX-License-Identifier: Apache-2.0
// An experiment this site takes part in: its plan as accepted, the frozen cohort and the job's keys, loaded once.

#include <memory>
#include <vector>

#include "protocols/plan/documents.h"
#include "protocols/plan/experiment.h"
#include "site_agent/agent/local_work.h"
#include "site_agent/agent/site_context.h"

namespace cloister::site {

struct AcceptedExperiment {
  JobId job;
  plan::Experiment plan;
  Digest plan_digest;
  FrozenCohort cohort;
  crypto::SecretBytes job_secret;
  crypto::X25519KeyPair sealing_key;

  // Of a model file of this plan.
  uint64_t MostModelBytes() const;

  // What the signed acceptances of this plan say. UNAUTHENTICATED: one is not its site's, or is of another plan.
  absl::StatusOr<std::vector<plan::Acceptance>> CheckAcceptances(
      const SiteContext& site, const std::vector<wire::SignedDocument>& acceptances) const;

  // FAILED_PRECONDITION: the site has not accepted this job (or it is closed).
  static absl::StatusOr<std::unique_ptr<AcceptedExperiment>> Load(const SiteContext& site, const JobId& job);
};

// How a failure is told to the coordinator.
wire::FailureReason FailureOf(const WorkerError& error);
wire::FailureReason FailureOf(const absl::Status& status);

}  // namespace cloister::site
