#pragma once
// SPDX-License-Identifier: Apache-2.0
// An offered experiment, from verification to answer: the sponsor's signature and chain, the plan's form, the policy, a
// person's word, the cohort, what is left of the site's privacy. Level-triggered: looks again at every call, so that an
// approval or a repaired PACS counts.

#include <optional>
#include <string>

#include "protocols/wire/messages.h"
#include "site_agent/agent/privacy_desk.h"
#include "site_agent/agent/site_context.h"

namespace cloister::site {

class OfferDesk {
 public:
  OfferDesk(const SiteContext* site, JobId job) : site_(site), job_(std::move(job)), privacy_(site, job_) {}

  // The answer to send now, or nothing (waiting for the cohort, or nothing new to say).
  std::optional<wire::ExperimentAnswer> Look(const wire::ExperimentOffer& offer);

 private:
  // UNAVAILABLE: trouble of this site, so no verdict yet.
  absl::StatusOr<plan::Experiment> Verify(const wire::ExperimentOffer& offer);
  absl::StatusOr<Decision> DecideNow(const plan::Experiment& plan, const Digest& digest);
  std::optional<wire::ExperimentAnswer> Refuse(Refusal refusal, const std::string& detail);
  std::optional<wire::ExperimentAnswer> Accept(const Digest& plan_digest);
  void SayOnce(const std::string& trouble);
  // How many patients there are, or nothing while the cohort is being built.
  std::optional<int> Patients(const plan::Experiment& plan);

  const SiteContext* site_;
  JobId job_;
  PrivacyDesk privacy_;
  std::optional<Refusal> said_;  // the last refusal that was sent
  std::string waits_for_;
  absl::Time cohort_again_ = absl::InfinitePast();
};

}  // namespace cloister::site
