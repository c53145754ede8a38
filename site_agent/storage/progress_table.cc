// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/progress_table.h"

#include "site_agent/storage/row_reader.h"

namespace cloister::site {

using storage::Durable;

namespace {

constexpr int kEventsKept = 1000;

}  // namespace

absl::Status ProgressTable::Put(const ProgressRow& row) {
  return database_
      ->Execute(
          "INSERT OR REPLACE INTO progress (job, step, round, rounds, phase, epoch, epochs, batch, batches, loss, "
          "images_per_second, eta_seconds, updated_unix_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          {row.job, row.step, row.round, row.rounds, row.phase, row.epoch, row.epochs, row.batch, row.batches, row.loss,
           row.images_per_second, row.eta_seconds, row.updated_unix_ms},
          Durable::kWithNext)
      .status();
}

absl::StatusOr<std::vector<ProgressRow>> ProgressTable::List() const {
  return ReadRows<ProgressRow>(
      database_->Query("SELECT job, step, round, rounds, phase, epoch, epochs, batch, batches, loss, "
                       "images_per_second, eta_seconds, updated_unix_ms FROM progress ORDER BY updated_unix_ms DESC, "
                       "job"),
      [](RowReader& row) {
        ProgressRow progress;
        progress.job = row.Text();
        progress.step = row.Text();
        progress.round = row.Small();
        progress.rounds = row.Small();
        progress.phase = row.Text();
        progress.epoch = row.Small();
        progress.epochs = row.Small();
        progress.batch = row.Small();
        progress.batches = row.Small();
        progress.loss = row.Real();
        progress.images_per_second = row.Real();
        progress.eta_seconds = row.Real();
        progress.updated_unix_ms = row.Int();
        return progress;
      });
}

absl::Status ProgressTable::Remove(const std::string& job) {
  return database_->Execute("DELETE FROM progress WHERE job = ?", {job}, Durable::kWithNext).status();
}

absl::Status ProgressTable::AddEvent(const std::string& job, const std::string& text, int64_t now_unix_ms) {
  CLOISTER_RETURN_IF_ERROR(database_
                               ->Execute("INSERT INTO event (time_unix_ms, job, text) VALUES (?, ?, ?)",
                                         {now_unix_ms, job, text}, Durable::kWithNext)
                               .status());
  return database_
      ->Execute("DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", {kEventsKept}, Durable::kWithNext)
      .status();
}

absl::StatusOr<std::vector<EventRow>> ProgressTable::Events(size_t limit) const {
  return ReadRows<EventRow>(
      database_->Query("SELECT id, time_unix_ms, job, text FROM event ORDER BY id DESC LIMIT ?", {limit}),
      [](RowReader& row) {
        EventRow event;
        event.id = row.Int();
        event.time_unix_ms = row.Int();
        event.job = row.Text();
        event.text = row.Text();
        return event;
      });
}

absl::Status ProgressTable::SetFact(const std::string& key, const std::string& value) {
  return database_
      ->Execute("INSERT OR REPLACE INTO agent_fact (key, value) VALUES (?, ?)", {key, value}, Durable::kWithNext)
      .status();
}

absl::StatusOr<std::optional<std::string>> ProgressTable::Fact(const std::string& key) const {
  CLOISTER_ASSIGN_OR_RETURN(std::vector<std::string> rows,
                            ReadRows<std::string>(database_->Query("SELECT value FROM agent_fact WHERE key = ?", {key}),
                                                  [](RowReader& row) { return row.Text(); }));
  if (rows.empty()) {
    return std::nullopt;
  }
  return rows.front();
}

}  // namespace cloister::site
