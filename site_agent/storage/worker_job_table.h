#pragma once
// SPDX-License-Identifier: Apache-2.0
// Worker jobs by the digest of their inputs, so that nothing is computed twice. The job folder holds the truth
// (result.json is written last); this is what people are shown and how often a job was tried.

#include <optional>
#include <string>
#include <vector>

#include "protocols/storage/database.h"

namespace cloister::site {

enum class WorkerJobState { kRunning, kDone, kFailed };
// "running", "done", "failed".
std::string_view WorkerJobStateName(WorkerJobState state);

struct WorkerJobRow {
  std::string key;    // hex digest of the inputs
  std::string kind;   // init, prepare, train, validate, predict
  std::string title;  // "round 3", for people
  std::string experiment;
  std::string folder;
  WorkerJobState state = WorkerJobState::kRunning;
  std::string failure;  // WorkerFailureName, or ""
  std::string message;
  int attempts = 0;
  int64_t started_unix_ms = 0;
  int64_t finished_unix_ms = 0;
};

class WorkerJobTable {
 public:
  explicit WorkerJobTable(storage::Database* database) : database_(database) {}

  // Notes a start: attempts grows by one, the state is running.
  absl::Status Start(const WorkerJobRow& row);
  absl::Status Finish(const std::string& key, WorkerJobState state, const std::string& failure,
                      const std::string& message, int64_t now_unix_ms);
  absl::StatusOr<std::optional<WorkerJobRow>> Get(const std::string& key) const;
  // Newest first.
  absl::StatusOr<std::vector<WorkerJobRow>> List(size_t limit) const;
  absl::StatusOr<std::vector<WorkerJobRow>> OfExperiment(const std::string& experiment) const;

 private:
  storage::Database* database_;
};

}  // namespace cloister::site
