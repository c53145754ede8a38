// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/worker_job_table.h"

#include <fmt/format.h>

#include "site_agent/storage/row_reader.h"

namespace cloister::site {

using storage::Durable;

namespace {

constexpr char kColumns[] =
    "key, kind, title, experiment, folder, state, failure, message, attempts, started_unix_ms, finished_unix_ms";

WorkerJobRow Read(RowReader& row) {
  WorkerJobRow job;
  job.key = row.Text();
  job.kind = row.Text();
  job.title = row.Text();
  job.experiment = row.Text();
  job.folder = row.Text();
  const std::string state = row.Text();
  job.state = state == "done"     ? WorkerJobState::kDone
              : state == "failed" ? WorkerJobState::kFailed
                                  : WorkerJobState::kRunning;
  job.failure = row.Text();
  job.message = row.Text();
  job.attempts = row.Small();
  job.started_unix_ms = row.Int();
  job.finished_unix_ms = row.Int();
  return job;
}

}  // namespace

std::string_view WorkerJobStateName(WorkerJobState state) {
  switch (state) {
    case WorkerJobState::kRunning:
      return "running";
    case WorkerJobState::kDone:
      return "done";
    case WorkerJobState::kFailed:
      return "failed";
  }
  return "running";
}

absl::Status WorkerJobTable::Start(const WorkerJobRow& row) {
  return database_
      ->Execute(fmt::format("INSERT INTO worker_job ({}) VALUES (?, ?, ?, ?, ?, 'running', '', '', 1, ?, 0) "
                            "ON CONFLICT (key) DO UPDATE SET state = 'running', failure = '', message = '', "
                            "attempts = attempts + 1, started_unix_ms = excluded.started_unix_ms",
                            kColumns),
                {row.key, row.kind, row.title, row.experiment, row.folder, row.started_unix_ms}, Durable::kWithNext)
      .status();
}

absl::Status WorkerJobTable::Finish(const std::string& key, WorkerJobState state, const std::string& failure,
                                    const std::string& message, int64_t now_unix_ms) {
  return database_
      ->Execute("UPDATE worker_job SET state = ?, failure = ?, message = ?, finished_unix_ms = ? WHERE key = ?",
                {WorkerJobStateName(state), failure, message, now_unix_ms, key}, Durable::kWithNext)
      .status();
}

absl::StatusOr<std::optional<WorkerJobRow>> WorkerJobTable::Get(const std::string& key) const {
  CLOISTER_ASSIGN_OR_RETURN(
      std::vector<WorkerJobRow> rows,
      ReadRows<WorkerJobRow>(database_->Query(fmt::format("SELECT {} FROM worker_job WHERE key = ?", kColumns), {key}),
                             Read));
  if (rows.empty()) {
    return std::nullopt;
  }
  return rows.front();
}

absl::StatusOr<std::vector<WorkerJobRow>> WorkerJobTable::List(size_t limit) const {
  return ReadRows<WorkerJobRow>(
      database_->Query(fmt::format("SELECT {} FROM worker_job ORDER BY started_unix_ms DESC, key LIMIT ?", kColumns),
                       {limit}),
      Read);
}

absl::StatusOr<std::vector<WorkerJobRow>> WorkerJobTable::OfExperiment(const std::string& experiment) const {
  return ReadRows<WorkerJobRow>(
      database_->Query(
          fmt::format("SELECT {} FROM worker_job WHERE experiment = ? ORDER BY started_unix_ms DESC, key", kColumns),
          {experiment}),
      Read);
}

}  // namespace cloister::site
