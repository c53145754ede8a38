#pragma once
// SPDX-License-Identifier: Apache-2.0
// Releases at this site: verify, re-validate on our own held-out patients, write the report, wait for a clinician's
// sign-off, activate, roll back. Sign-offs are rows that the command line and the portal write; this looks for them at
// every step. Level-triggered; used by one thread at a time.

#include <map>
#include <set>

#include "protocols/wire/messages.h"
#include "site_agent/agent/release_report.h"
#include "site_agent/agent/site_context.h"

namespace cloister::site {

class ReleaseDesk {
 public:
  explicit ReleaseDesk(const SiteContext* site) : site_(site) {}

  // `offers`: every release the coordinator lists as open for this site.
  void Step(const std::vector<wire::ReleaseOffer>& offers, const transport::StopSource& stop);

 private:
  // A verified manifest with what it is validated on.
  struct Verified {
    plan::ReleaseManifest manifest;
    plan::Experiment plan;
    FrozenCohort cohort;
  };

  void Look(const wire::ReleaseOffer& offer, const transport::StopSource& stop);
  absl::StatusOr<plan::ReleaseManifest> Verify(const wire::ReleaseOffer& offer) const;
  absl::StatusOr<Verified> Load(const ReleaseRow& row) const;
  // OK: validated, or not ready yet.
  absl::Status Validate(const ReleaseRow& row, const transport::StopSource& stop);
  absl::Status WriteReport(const ReleaseRow& row, const Verified& release, const ValidationResult& scores,
                           bool has_local_only, ReleaseReport* report) const;
  absl::StatusOr<std::optional<ValidationResult>> Scores(const Verified& release, bool* has_local_only,
                                                         const transport::StopSource& stop);
  void ApplySignOff(const ReleaseRow& row, const transport::StopSource& stop);
  void RenderSigned(const ReleaseRow& row, const transport::StopSource& stop);
  void RollBack(const ReleaseRow& row, const SignOffRow& by);
  void Tell(const ReleaseId& release, const transport::StopSource& stop);

  const SiteContext* site_;
  std::set<ReleaseId> listed_;  // open at the coordinator
  std::map<ReleaseId, std::pair<ReleaseState, absl::Time>> told_;
  std::map<ReleaseId, absl::Time> again_;  // when a failed validation is tried again
  bool first_ = true;
};

}  // namespace cloister::site
