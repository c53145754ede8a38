#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the agent is doing right now, for the portal and `cloister-site status`: one line per experiment, a short list
// of events, and facts about the agent itself. Holds nothing about patients, and nothing that a power cut may not take
// (storage::Durable::kWithNext).

#include <optional>
#include <string>
#include <vector>

#include "protocols/storage/database.h"

namespace cloister::site {

struct ProgressRow {
  std::string job;   // "" for serving and cohorts
  std::string step;  // "baseline", "round", "validation", "cohort chest_pneumonia", ...
  int round = 0;
  int rounds = 0;
  std::string phase;  // of the worker: train, prepare, validate
  int epoch = 0;
  int epochs = 0;
  int batch = 0;
  int batches = 0;
  double loss = 0;
  double images_per_second = 0;
  double eta_seconds = 0;
  int64_t updated_unix_ms = 0;
};

struct EventRow {
  int64_t id = 0;
  int64_t time_unix_ms = 0;
  std::string job;
  std::string text;
};

class ProgressTable {
 public:
  explicit ProgressTable(storage::Database* database) : database_(database) {}

  absl::Status Put(const ProgressRow& row);  // one row a job
  absl::StatusOr<std::vector<ProgressRow>> List() const;
  absl::Status Remove(const std::string& job);

  // Keeps the newest 1000.
  absl::Status AddEvent(const std::string& job, const std::string& text, int64_t now_unix_ms);
  absl::StatusOr<std::vector<EventRow>> Events(size_t limit) const;  // newest first

  // About the agent: "coordinator", "agent_pid", "heartbeat_unix_ms", ...
  absl::Status SetFact(const std::string& key, const std::string& value);
  absl::StatusOr<std::optional<std::string>> Fact(const std::string& key) const;

 private:
  storage::Database* database_;
};

}  // namespace cloister::site
