#pragma once
// SPDX-License-Identifier: Apache-2.0
// Releases at this site: verify, re-validate on our own held-out patients, write the report, wait for a clinician's
// sign-off, activate, roll back. Sign-offs are rows that the command line and the portal write. Level-triggered, in two
// halves that may run at the same time on one thread each: Step talks to the coordinator and may wait for it for ever,
// ApplySignOffs never does. They share nothing but the store: Step decides about offered releases, ApplySignOffs about
// those in every later state.

#include <map>
#include <set>

#include "protocols/wire/messages.h"
#include "site_agent/agent/release_report.h"
#include "site_agent/agent/site_context.h"

namespace cloister::site {

class ReleaseDesk {
 public:
  explicit ReleaseDesk(const SiteContext* site) : site_(site) {}

  // `offers`: every release the coordinator lists as open for this site. Verifies and validates them, and tells the
  // coordinator what became of all releases.
  void Step(const std::vector<wire::ReleaseOffer>& offers, const transport::StopSource& stop);
  // Acts on what people decided.
  void ApplySignOffs();

 private:
  // A genuine manifest with what it is validated on.
  struct Verified {
    plan::ReleaseManifest manifest;
    plan::Experiment plan;
    FrozenCohort cohort;
  };
  struct Scored {
    std::optional<ValidationResult> result;  // nullopt: is being computed
    bool has_local_only = false;
    std::string model_invalid;  // why the release's model cannot be used
  };
  // What stands in the way of a release for now.
  struct Problem {
    std::string text;
    absl::Time again;
  };

  void Look(const wire::ReleaseOffer& offer, const transport::StopSource& stop);
  // DATA_LOSS: not genuine, for good: signature, digest or content do not hold. UNAVAILABLE: this site cannot tell now.
  absl::Status Verify(const wire::ReleaseOffer& offer) const;
  absl::StatusOr<Verified> Load(const ReleaseRow& row) const;
  // OK: validated, or not ready yet.
  absl::Status Validate(const ReleaseRow& row, const transport::StopSource& stop);
  // Of models that are here, beside the site's own local-only one where there is one that can be used.
  absl::StatusOr<Scored> Score(const Verified& release) const;
  absl::StatusOr<ReleaseReport> WriteReport(const ReleaseRow& row, const Verified& release, const Scored& scored) const;
  void ApplySignOff(const ReleaseId& release);
  // Of a release that is not in use.
  absl::Status Decide(const ReleaseRow& row, const SignOffRow& by) const;
  absl::Status RollBack(const ReleaseRow& row, const SignOffRow& by) const;
  void Tell(const ReleaseId& release, const transport::StopSource& stop);

  const SiteContext* site_;
  // Of Step:
  std::set<ReleaseId> listed_;  // open at the coordinator
  std::map<ReleaseId, std::pair<ReleaseState, absl::Time>> told_;
  std::map<ReleaseId, Problem> unvalidated_;
  // Of ApplySignOffs:
  std::map<ReleaseId, Problem> undecided_;
};

}  // namespace cloister::site
