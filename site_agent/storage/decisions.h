#pragma once
// SPDX-License-Identifier: Apache-2.0
// What people decide at a site, wherever they say it (command line, portal): when a word may be said, and that it
// stands in the audit log before it is stored. The agent acts on what is stored.

#include <string>

#include "site_agent/storage/site_store.h"

namespace cloister::site {

// A person's word about the job row.job with the plan row.plan_digest. `actor`: the account it was said from.
// INVALID_ARGUMENT: the name or the comment (empty name, over 500 bytes, control characters). NOT_FOUND: no such job
// was offered with this plan. FAILED_PRECONDITION: the experiment has ended, or is declined after this site has
// accepted it.
absl::Status DecideExperiment(SiteStore* store, const ApprovalRow& row, const std::string& actor);

// A clinician's word about a release: accept and decline while it is verified, rollback while it is active.
// INVALID_ARGUMENT: as above. NOT_FOUND: no such release. FAILED_PRECONDITION: its state; the message says which and
// why.
absl::Status DecideRelease(SiteStore* store, const SignOffRow& row, const std::string& actor);

}  // namespace cloister::site
