#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the operator's CLI and the coordinator say to each other, as valid values (see messages.h). Also the view of an
// experiment that the status page shows.

#include <string>
#include <vector>

#include "protocols/wire/messages.h"

namespace cloister::wire {

enum class ExperimentPhase {
  kInviting = 1,
  kBaselines = 2,
  kTraining = 3,
  kValidating = 4,
  kCalibrating = 5,
  kReleased = 6,
  kFailed = 7,
  kAborted = 8,
};

inline bool HasEnded(ExperimentPhase phase) {
  return phase >= ExperimentPhase::kReleased;
}

struct ParticipantStatus {
  SiteId site;
  std::string state;  // invited, accepted, refused, baseline, answered, working, dropped, done
  std::optional<RefusalReason> refusal;
  std::optional<FailureReason> failure;
};

struct GateStatus {
  std::string rule;
  std::string model_id;
  std::string scope;    // "pooled" or a site id
  std::string verdict;  // pass, fail, not_estimable
  std::string detail;
};

struct ExperimentStatus {
  JobId job;
  std::string name;
  std::string task;
  ExperimentPhase phase = ExperimentPhase::kInviting;
  uint32_t round = 0;
  uint32_t rounds = 0;
  uint32_t attempt = 0;
  std::optional<SumPhase> step;
  std::vector<ParticipantStatus> sites;
  std::vector<GateStatus> gates;
  std::optional<ReleaseId> release;
  std::string message;
  int64_t submitted_unix_ms = 0;
  std::optional<Digest> model;  // newest global model
  Digest plan_digest;
};

struct ExperimentEvent {
  uint64_t sequence = 0;
  int64_t time_unix_ms = 0;
  std::string text;  // one line for people
  ExperimentStatus status;
};

struct SiteReleaseState {
  SiteId site;
  ReleaseState state = ReleaseState::kOffered;
};

struct ReleaseStatus {
  ReleaseId release;
  JobId job;
  std::string version;
  SignedDocument manifest;
  std::vector<SiteReleaseState> sites;
  int64_t published_unix_ms = 0;
};

struct SiteStatus {
  SiteId site;
  int64_t first_seen_unix_ms = 0;
  int64_t last_seen_unix_ms = 0;
  std::string agent_version;
  int64_t certificate_expires_unix_ms = 0;
};

}  // namespace cloister::wire
