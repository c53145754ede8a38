#pragma once
// SPDX-License-Identifier: Apache-2.0
// The experiments offered to this site, what a person said about them, and what the site answered.

#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/storage/database.h"

namespace cloister::site {

enum class ExperimentState { kOffered, kAccepted, kRefused, kClosed };
// "offered", "accepted", "refused", "closed".
std::string_view ExperimentStateName(ExperimentState state);

struct ExperimentRow {
  JobId job;
  Digest plan_digest;
  Bytes plan;  // canonical JSON, as signed
  std::string name;
  std::string task;
  std::string sponsor;  // who signed
  ExperimentState state = ExperimentState::kOffered;
  std::string refusal;       // RefusalName, or ""
  std::string detail;        // one line for people
  Bytes acceptance;          // acceptance document as signed, empty before
  std::string closed_phase;  // released, failed, aborted
  std::string closed_reason;
  int64_t received_unix_ms = 0;
  int64_t answered_unix_ms = 0;
};

enum class ApprovalDecision { kApproved, kDeclined };

struct ApprovalRow {
  JobId job;           // a word is about one job: the same plan as another job is asked about again
  Digest plan_digest;  // as it was read
  ApprovalDecision decision = ApprovalDecision::kDeclined;
  std::string person;
  std::string comment;
  int64_t time_unix_ms = 0;
};

class ExperimentTable {
 public:
  explicit ExperimentTable(storage::Database* database) : database_(database) {}

  // Remembers an offer; a job that is known stays as it is. FAILED_PRECONDITION: known with another plan.
  absl::Status AddOffer(const ExperimentRow& row);
  absl::Status SetAccepted(const JobId& job, const Bytes& acceptance, int64_t now_unix_ms);
  absl::Status SetRefused(const JobId& job, const std::string& refusal, const std::string& detail, int64_t now_unix_ms);
  // What it waits for, for people; the state stays.
  absl::Status SetDetail(const JobId& job, const std::string& detail);
  absl::Status SetClosed(const JobId& job, const std::string& phase, const std::string& reason);

  // NOT_FOUND: no such job.
  absl::StatusOr<ExperimentRow> Get(const JobId& job) const;
  // Newest first.
  absl::StatusOr<std::vector<ExperimentRow>> List() const;

  // Another job with the same plan that this site has ever accepted, or a person here has declined.
  absl::StatusOr<std::optional<JobId>> DecidedElsewhere(const Digest& plan_digest, const JobId& job) const;

  // Append-only: the newest word about a job and its plan counts.
  absl::Status AddApproval(const ApprovalRow& row);
  absl::StatusOr<std::optional<ApprovalRow>> NewestApproval(const JobId& job, const Digest& plan_digest) const;

 private:
  storage::Database* database_;
};

}  // namespace cloister::site
