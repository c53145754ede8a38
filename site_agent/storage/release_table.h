#pragma once
// SPDX-License-Identifier: Apache-2.0
// Releases offered to this site, their validation here, and the people who signed. At most one release of a task is
// active.

#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/storage/database.h"

namespace cloister::site {

enum class ReleaseState {
  kOffered,     // seen, not verified or not re-validated yet
  kVerified,    // waits for a clinician
  kGateFailed,  // this site's own validation did not pass
  kActive,
  kDeclined,
  kRolledBack,
  kInvalid,     // signature, chain or hash does not hold
  kSuperseded,  // a newer release of the task became active
};
// "offered", "verified", "gate_failed", "active", "declined", "rolled_back", "invalid", "superseded".
std::string_view ReleaseStateName(ReleaseState state);

struct ReleaseRow {
  ReleaseId release;
  JobId job;
  std::string task;
  std::string version;
  Digest digest;  // of the manifest document
  Bytes manifest;
  ReleaseState state = ReleaseState::kOffered;
  std::string detail;       // one line for people
  std::string report_html;  // path
  std::string report_json;  // path
  std::string numbers;      // JSON for `cloister-site report --json`
  int64_t received_unix_ms = 0;
  int64_t updated_unix_ms = 0;
};

enum class SignOffDecision { kAccept, kDecline, kRollback };
// "accept", "decline", "rollback".
std::string_view SignOffDecisionName(SignOffDecision decision);

struct SignOffRow {
  int64_t id = 0;
  ReleaseId release;
  SignOffDecision decision = SignOffDecision::kDecline;
  std::string person;
  std::string role;
  std::string comment;
  int64_t time_unix_ms = 0;
};

class ReleaseTable {
 public:
  explicit ReleaseTable(storage::Database* database) : database_(database) {}

  // Remembers an offer; one that is known stays as it is.
  absl::Status AddOffer(const ReleaseRow& row);
  absl::Status SetState(const ReleaseId& release, ReleaseState state, const std::string& detail, int64_t now_unix_ms);
  absl::Status SetReport(const ReleaseId& release, const std::string& html_path, const std::string& json_path,
                         const std::string& numbers);
  // Makes it the active release of its task and the one before superseded, or neither.
  absl::Status Activate(const ReleaseId& release, const std::string& detail, int64_t now_unix_ms);
  // Takes the active release out of use and puts the one it superseded last back into use, or neither. Which one is in
  // use now; nullopt: none was before. FAILED_PRECONDITION: `release` is not active.
  absl::StatusOr<std::optional<ReleaseId>> RollBack(const ReleaseId& release, const std::string& detail,
                                                    int64_t now_unix_ms);

  absl::StatusOr<ReleaseRow> Get(const ReleaseId& release) const;
  absl::StatusOr<std::vector<ReleaseRow>> List() const;    // newest first
  absl::StatusOr<std::vector<ReleaseRow>> Active() const;  // one a task

  // Append-only.
  absl::Status AddSignOff(const SignOffRow& row);
  absl::StatusOr<std::optional<SignOffRow>> NewestSignOff(const ReleaseId& release) const;
  absl::StatusOr<std::vector<SignOffRow>> SignOffs(const ReleaseId& release) const;

 private:
  storage::Database* database_;
};

}  // namespace cloister::site
