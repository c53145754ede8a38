// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/serving_table.h"

#include <fmt/format.h>

#include "site_agent/storage/row_reader.h"

namespace cloister::site {
namespace {

constexpr char kColumns[] =
    "study_instance_uid, state, release, reason, message, attempts, first_received_unix_ms, last_received_unix_ms, "
    "not_before_unix_ms, finished_unix_ms";

ServingStudyRow Read(RowReader& row) {
  ServingStudyRow study;
  study.study_instance_uid = row.Text();
  const std::string state = row.Text();
  for (ServingState known : {ServingState::kReceived, ServingState::kAnswered, ServingState::kNotAnalysed,
                             ServingState::kIgnored, ServingState::kFailed}) {
    if (state == ServingStateName(known)) {
      study.state = known;
    }
  }
  study.release = row.Text();
  study.reason = row.Text();
  study.message = row.Text();
  study.attempts = row.Small();
  study.first_received_unix_ms = row.Int();
  study.last_received_unix_ms = row.Int();
  study.not_before_unix_ms = row.Int();
  study.finished_unix_ms = row.Int();
  return study;
}

}  // namespace

std::string_view ServingStateName(ServingState state) {
  switch (state) {
    case ServingState::kReceived:
      return "received";
    case ServingState::kAnswered:
      return "answered";
    case ServingState::kNotAnalysed:
      return "not_analysed";
    case ServingState::kIgnored:
      return "ignored";
    case ServingState::kFailed:
      return "failed";
  }
  return "failed";
}

absl::StatusOr<bool> ServingTable::AddInstance(const ServingInstanceRow& row, int64_t now_unix_ms) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, database_->Begin());
  CLOISTER_RETURN_IF_ERROR(
      transaction
          .Execute(fmt::format("INSERT INTO serving_study ({}) VALUES (?, 'received', '', '', '', 0, ?, ?, 0, 0) "
                               "ON CONFLICT DO NOTHING",
                               kColumns),
                   {row.study_instance_uid, now_unix_ms, now_unix_ms})
          .status());
  CLOISTER_ASSIGN_OR_RETURN(
      const int64_t added,
      transaction.Execute("INSERT INTO serving_instance (sop_instance_uid, study_instance_uid, path, modality, "
                          "view_position, series_number, instance_number) VALUES (?, ?, ?, ?, ?, ?, ?) "
                          "ON CONFLICT DO NOTHING",
                          {row.sop_instance_uid, row.study_instance_uid, row.path, row.modality, row.view_position,
                           row.series_number, row.instance_number}));
  if (added > 0) {
    CLOISTER_RETURN_IF_ERROR(
        transaction
            .Execute("UPDATE serving_study SET state = 'received', last_received_unix_ms = ?, attempts = 0, "
                     "not_before_unix_ms = 0, finished_unix_ms = 0 WHERE study_instance_uid = ?",
                     {now_unix_ms, row.study_instance_uid})
            .status());
  }
  CLOISTER_RETURN_IF_ERROR(transaction.Commit());
  return added > 0;
}

absl::StatusOr<std::vector<ServingStudyRow>> ServingTable::Due(int64_t settled_before_unix_ms,
                                                               int64_t now_unix_ms) const {
  return ReadRows<ServingStudyRow>(
      database_->Query(fmt::format("SELECT {} FROM serving_study WHERE state = 'received' AND "
                                   "last_received_unix_ms <= ? AND not_before_unix_ms <= ? "
                                   "ORDER BY last_received_unix_ms, study_instance_uid",
                                   kColumns),
                       {settled_before_unix_ms, now_unix_ms}),
      Read);
}

absl::StatusOr<std::vector<ServingInstanceRow>> ServingTable::Instances(const std::string& study_instance_uid) const {
  return ReadRows<ServingInstanceRow>(
      database_->Query("SELECT sop_instance_uid, study_instance_uid, path, modality, view_position, series_number, "
                       "instance_number FROM serving_instance WHERE study_instance_uid = ? "
                       "ORDER BY series_number, instance_number, sop_instance_uid",
                       {study_instance_uid}),
      [](RowReader& row) {
        ServingInstanceRow instance;
        instance.sop_instance_uid = row.Text();
        instance.study_instance_uid = row.Text();
        instance.path = row.Text();
        instance.modality = row.Text();
        instance.view_position = row.Text();
        instance.series_number = row.Small();
        instance.instance_number = row.Small();
        return instance;
      });
}

absl::Status ServingTable::Finish(const std::string& study_instance_uid, ServingState state, const std::string& release,
                                  const std::string& reason, const std::string& message, int64_t now_unix_ms) {
  return database_
      ->Execute(
          "UPDATE serving_study SET state = ?, release = ?, reason = ?, message = ?, finished_unix_ms = ?, "
          "attempts = attempts + 1 WHERE study_instance_uid = ?",
          {ServingStateName(state), release, reason, message, now_unix_ms, study_instance_uid})
      .status();
}

absl::Status ServingTable::Retry(const std::string& study_instance_uid, const std::string& message,
                                 int64_t not_before_unix_ms) {
  return database_
      ->Execute(
          "UPDATE serving_study SET message = ?, attempts = attempts + 1, not_before_unix_ms = ? "
          "WHERE study_instance_uid = ?",
          {message, not_before_unix_ms, study_instance_uid})
      .status();
}

absl::StatusOr<std::vector<ServingStudyRow>> ServingTable::List(size_t limit) const {
  return ReadRows<ServingStudyRow>(
      database_->Query(fmt::format("SELECT {} FROM serving_study ORDER BY last_received_unix_ms DESC, "
                                   "study_instance_uid LIMIT ?",
                                   kColumns),
                       {limit}),
      Read);
}

}  // namespace cloister::site
