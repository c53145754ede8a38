#pragma once
// SPDX-License-Identifier: Apache-2.0
// The other documents that parties sign, as canonical JSON: a site's acceptance of a plan, and the manifest of a
// release. Signing and verifying are crypto::Signer's and crypto::VerifySignature's; the domains to sign under are
// here.

#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/base/status.h"
#include "protocols/plan/experiment.h"

namespace cloister::plan {

inline constexpr char kPlanDomain[] = "cloister/plan";
inline constexpr char kAcceptanceDomain[] = "cloister/acceptance";
inline constexpr char kReleaseDomain[] = "cloister/release";

// A site takes part in the plan with this digest; sealed things for it are sealed to `sealing_key` (X25519).
struct Acceptance {
  Digest plan;
  SiteId site;
  Bytes sealing_key;          // 32 bytes
  Digest graph_commitment{};  // secagg::GraphCommitment to what it reveals if sums need a sparse graph
};
Bytes AcceptanceDocument(const Acceptance& acceptance);
absl::StatusOr<Acceptance> ParseAcceptance(const Bytes& document);

struct ReleaseMember {
  std::string id;  // "round-8"
  Digest model;    // SHA-256 of its safetensors file
  uint64_t size_bytes = 0;
};

struct GateResult {
  std::string rule;  // GateInWords
  std::string model_id;
  std::string scope;    // "pooled" or a site id
  std::string verdict;  // pass | fail | not_estimable
  std::string detail;
};

// What one site said of a member in the validation before the release: eval/federated/site_summary.h, its JSON as it
// came, with small cells suppressed.
struct SiteResult {
  SiteId site;
  std::string model_id;
  std::string summary;
};

// What a site verifies, re-validates, shows to a clinician and runs.
struct ReleaseManifest {
  ReleaseId id;
  std::string version;     // major.minor.patch.data
  std::string device_uid;  // DICOM UID of this published version
  JobId job;
  Digest plan;
  Task task;
  std::string architecture;
  std::vector<ReleaseMember> members;
  std::string combiner;
  double operating_point = 0;  // a score at or above it is positive
  std::string operating_point_rule;
  std::vector<GateResult> gates;
  std::vector<SiteResult> results;  // of the first member
  std::vector<std::string> sites;   // that took part
  int rounds = 0;
  std::string code_version;
  std::string published;  // UTC
};
Bytes ReleaseDocument(const ReleaseManifest& manifest);
absl::StatusOr<ReleaseManifest> ParseRelease(const Bytes& document);

}  // namespace cloister::plan
