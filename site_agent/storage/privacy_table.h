#pragma once
// SPDX-License-Identifier: Apache-2.0
// The site's privacy ledger: what each experiment with differential privacy may cost, what it has cost, and for which
// training. An entry is promised before the site accepts, spent before a round's training starts, and never removed.
// What the numbers mean and how they come about is protocols/plan/plan_epsilon.h.

#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/storage/database.h"

namespace cloister::site {

enum class PrivacyState {
  kQuoted,    // computed for an offer; counts for nothing
  kPromised,  // accepted: the whole epsilon counts
  kEnded,     // only what was spent counts
};
// "quoted", "promised", "ended".
std::string_view PrivacyStateName(PrivacyState state);

struct PrivacyRow {
  JobId job;
  std::string task;
  std::string experiment;
  std::string unit;
  double epsilon = 0;  // of the whole experiment, at `delta`
  double delta = 0;
  double max_epsilon = 0;  // of the plan
  double noise_multiplier = 0;
  double clip_norm = 0;
  double sampling_probability = 0;
  uint64_t steps = 0;  // of the whole experiment
  int rounds = 0;
  int training_patients = 0;
  std::string accountant;
  PrivacyState state = PrivacyState::kQuoted;
  int trainings = 0;         // of rounds, that were started
  double spent_epsilon = 0;  // by them, together
  int64_t updated_unix_ms = 0;

  // What counts against the site's limit.
  double TakenEpsilon() const {
    return state == PrivacyState::kPromised ? epsilon : state == PrivacyState::kEnded ? spent_epsilon : 0;
  }
  double TakenDelta() const {
    return state == PrivacyState::kPromised || (state == PrivacyState::kEnded && trainings > 0) ? delta : 0;
  }
};

struct PrivacyTotal {
  double spent_epsilon = 0;
  double taken_epsilon = 0;  // spent or promised
  double taken_delta = 0;
};

// What all entries together may take.
struct PrivacyBound {
  double epsilon = 0;
  double delta = 0;
};

class PrivacyTable {
 public:
  explicit PrivacyTable(storage::Database* database) : database_(database) {}

  // What an offer would cost, as shown before somebody decides. Replaces an older quote; an entry that was promised
  // stays as it is.
  absl::Status Quote(const PrivacyRow& row);
  // Promises `row` to its job, all or nothing. Once promised, the same again is OK. RESOURCE_EXHAUSTED: with all other
  // entries it would exceed `bound` (the numbers are in the message). FAILED_PRECONDITION: the job has ended, or was
  // promised something else.
  absl::Status Promise(const PrivacyRow& row, const std::optional<PrivacyBound>& bound);
  // Notes that `training` of the job starts, after which the job's trainings have cost `spent_epsilon` together. Call
  // it before the first step, with the same digest after a restart: that is noted once. RESOURCE_EXHAUSTED: the job has
  // had as many trainings as rounds, or would exceed its promise or, with what the others have spent, `bound`.
  // FAILED_PRECONDITION: nothing was promised, or the job has ended.
  absl::Status Spend(const JobId& job, const Digest& training, double spent_epsilon,
                     const std::optional<PrivacyBound>& bound, int64_t now_unix_ms);
  // Gives back what was promised and not spent. OK for a job without an entry.
  absl::Status End(const JobId& job, int64_t now_unix_ms);

  // Whether `training` was noted.
  absl::StatusOr<bool> IsSpent(const JobId& job, const Digest& training) const;
  // Nothing: no entry for the job.
  absl::StatusOr<std::optional<PrivacyRow>> Get(const JobId& job) const;
  absl::StatusOr<std::vector<PrivacyRow>> List() const;  // oldest first
  // Of all jobs but `except`.
  absl::StatusOr<PrivacyTotal> Total(const std::optional<JobId>& except = std::nullopt) const;

 private:
  storage::Database* database_;
};

}  // namespace cloister::site
