#pragma once
// SPDX-License-Identifier: Apache-2.0
// The validation report of a release at this site: from the scores of the held-out patients to the HTML page a
// clinician signs, the JSON beside it, the verdicts of this site's own gate, and a few numbers for scripts. Stays here.

#include <optional>
#include <string>
#include <vector>

#include "eval/federated/gates.h"
#include "protocols/plan/documents.h"
#include "site_agent/agent/local_work.h"
#include "site_agent/agent/site_config.h"
#include "site_agent/policy/policy.h"
#include "site_agent/storage/privacy_table.h"
#include "site_agent/storage/release_table.h"

namespace cloister::site {

struct ReleaseEvidence {
  const plan::ReleaseManifest* manifest = nullptr;
  const plan::Experiment* plan = nullptr;
  const FrozenCohort* cohort = nullptr;
  Digest manifest_digest;          // of the release
  eval::Cases cases;               // the release's scores of the test cases
  std::vector<double> local_only;  // of the same cases; empty: there is no local-only model
  std::optional<SignOffRow> sign_off;
  std::optional<PrivacyRow> privacy;  // the ledger's entry of the job, if it has one
  std::string generated_utc;
  std::string code_version;
};

struct ReleaseReport {
  std::string html;
  std::string json;
  std::string numbers;                                // JSON, one object: what `cloister-site report --json` prints
  eval::Outcome gate = eval::Outcome::kNotEstimable;  // of all gates decided here; only kFail forbids to sign
  std::string gate_detail;                            // one line for people
};

// Codes as eval::MakeReport.
absl::StatusOr<ReleaseReport> MakeReleaseReport(const SiteConfig& config, const Policy& policy,
                                                const ReleaseEvidence& evidence);

}  // namespace cloister::site
