// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/release_table.h"

#include <fmt/format.h>

#include "site_agent/storage/row_reader.h"

namespace cloister::site {
namespace {

constexpr char kColumns[] =
    "release, job, task, version, digest, manifest, state, detail, report_html, report_json, numbers, "
    "received_unix_ms, updated_unix_ms";

constexpr ReleaseState kStates[] = {ReleaseState::kOffered, ReleaseState::kVerified,  ReleaseState::kGateFailed,
                                    ReleaseState::kActive,  ReleaseState::kDeclined,  ReleaseState::kRolledBack,
                                    ReleaseState::kInvalid, ReleaseState::kSuperseded};

ReleaseState ParseState(const std::string& name) {
  for (ReleaseState state : kStates) {
    if (name == ReleaseStateName(state)) {
      return state;
    }
  }
  return ReleaseState::kInvalid;
}

ReleaseRow Read(RowReader& row) {
  ReleaseRow release;
  release.release = ReleaseId::Parse(row.Text()).value_or(ReleaseId());
  release.job = JobId::Parse(row.Text()).value_or(JobId());
  release.task = row.Text();
  release.version = row.Text();
  release.digest = row.TakeDigest();
  release.manifest = row.Blob();
  release.state = ParseState(row.Text());
  release.detail = row.Text();
  release.report_html = row.Text();
  release.report_json = row.Text();
  release.numbers = row.Text();
  release.received_unix_ms = row.Int();
  release.updated_unix_ms = row.Int();
  return release;
}

SignOffRow ReadSignOff(RowReader& row) {
  SignOffRow sign_off;
  sign_off.id = row.Int();
  sign_off.release = ReleaseId::Parse(row.Text()).value_or(ReleaseId());
  const std::string decision = row.Text();
  sign_off.decision = decision == "accept"     ? SignOffDecision::kAccept
                      : decision == "rollback" ? SignOffDecision::kRollback
                                               : SignOffDecision::kDecline;
  sign_off.person = row.Text();
  sign_off.role = row.Text();
  sign_off.comment = row.Text();
  sign_off.time_unix_ms = row.Int();
  return sign_off;
}

}  // namespace

std::string_view ReleaseStateName(ReleaseState state) {
  switch (state) {
    case ReleaseState::kOffered:
      return "offered";
    case ReleaseState::kVerified:
      return "verified";
    case ReleaseState::kGateFailed:
      return "gate_failed";
    case ReleaseState::kActive:
      return "active";
    case ReleaseState::kDeclined:
      return "declined";
    case ReleaseState::kRolledBack:
      return "rolled_back";
    case ReleaseState::kInvalid:
      return "invalid";
    case ReleaseState::kSuperseded:
      return "superseded";
  }
  return "invalid";
}

std::string_view SignOffDecisionName(SignOffDecision decision) {
  switch (decision) {
    case SignOffDecision::kAccept:
      return "accept";
    case SignOffDecision::kDecline:
      return "decline";
    case SignOffDecision::kRollback:
      return "rollback";
  }
  return "decline";
}

absl::Status ReleaseTable::AddOffer(const ReleaseRow& row) {
  return database_
      ->Execute(fmt::format("INSERT INTO release ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', '', '', ?, ?) "
                            "ON CONFLICT (release) DO NOTHING",
                            kColumns),
                {row.release.value(), row.job.value(), row.task, row.version, row.digest, storage::Blob{row.manifest},
                 ReleaseStateName(row.state), row.detail, row.received_unix_ms, row.received_unix_ms})
      .status();
}

absl::Status ReleaseTable::SetState(const ReleaseId& release, ReleaseState state, const std::string& detail,
                                    int64_t now_unix_ms) {
  return database_
      ->Execute("UPDATE release SET state = ?, detail = ?, updated_unix_ms = ? WHERE release = ?",
                {ReleaseStateName(state), detail, now_unix_ms, release.value()})
      .status();
}

absl::Status ReleaseTable::SetReport(const ReleaseId& release, const std::string& html_path,
                                     const std::string& json_path, const std::string& numbers) {
  return database_
      ->Execute("UPDATE release SET report_html = ?, report_json = ?, numbers = ? WHERE release = ?",
                {html_path, json_path, numbers, release.value()})
      .status();
}

absl::Status ReleaseTable::Activate(const ReleaseId& release, const std::string& detail, int64_t now_unix_ms) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, database_->Begin());
  CLOISTER_RETURN_IF_ERROR(
      transaction
          .Execute("UPDATE release SET state = 'superseded', detail = ?, updated_unix_ms = ? WHERE state = 'active' "
                   "AND release <> ? AND task = (SELECT task FROM release WHERE release = ?)",
                   {"superseded by " + release.value(), now_unix_ms, release.value(), release.value()})
          .status());
  CLOISTER_RETURN_IF_ERROR(
      transaction
          .Execute("UPDATE release SET state = 'active', detail = ?, updated_unix_ms = ? WHERE release = ?",
                   {detail, now_unix_ms, release.value()})
          .status());
  return transaction.Commit();
}

absl::StatusOr<std::optional<ReleaseId>> ReleaseTable::RollBack(const ReleaseId& release, const std::string& detail,
                                                                int64_t now_unix_ms) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, database_->Begin());
  CLOISTER_ASSIGN_OR_RETURN(
      const int64_t changed,
      transaction.Execute("UPDATE release SET state = 'rolled_back', detail = ?, updated_unix_ms = ? "
                          "WHERE release = ? AND state = 'active'",
                          {detail, now_unix_ms, release.value()}));
  if (changed == 0) {
    return absl::FailedPreconditionError(fmt::format("release {} is not active", release.value()));
  }
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<ReleaseRow> before,
      ReadRows<ReleaseRow>(
          transaction.Query(fmt::format("SELECT {} FROM release WHERE state = 'superseded' "
                                        "AND task = (SELECT task FROM release WHERE release = ?) "
                                        "ORDER BY updated_unix_ms DESC, received_unix_ms DESC, release LIMIT 1",
                                        kColumns),
                            {release.value()}),
          Read));
  std::optional<ReleaseId> in_use;
  if (!before.empty()) {
    in_use = before.front().release;  // a clinician had signed it
    CLOISTER_RETURN_IF_ERROR(
        transaction
            .Execute("UPDATE release SET state = 'active', detail = ?, updated_unix_ms = ? WHERE release = ?",
                     {"in use again after a rollback", now_unix_ms, in_use->value()})
            .status());
  }
  CLOISTER_RETURN_IF_ERROR(transaction.Commit());
  return in_use;
}

absl::StatusOr<ReleaseRow> ReleaseTable::Get(const ReleaseId& release) const {
  return ReadOne<ReleaseRow>(
      database_->Query(fmt::format("SELECT {} FROM release WHERE release = ?", kColumns), {release.value()}),
      "release " + release.value(), Read);
}

absl::StatusOr<std::vector<ReleaseRow>> ReleaseTable::List() const {
  return ReadRows<ReleaseRow>(
      database_->Query(fmt::format("SELECT {} FROM release ORDER BY received_unix_ms DESC, release", kColumns)), Read);
}

absl::StatusOr<std::vector<ReleaseRow>> ReleaseTable::Active() const {
  return ReadRows<ReleaseRow>(
      database_->Query(fmt::format("SELECT {} FROM release WHERE state = 'active' ORDER BY task", kColumns)), Read);
}

absl::Status ReleaseTable::AddSignOff(const SignOffRow& row) {
  return database_
      ->Execute(
          "INSERT INTO sign_off (release, decision, person, role, comment, time_unix_ms) VALUES (?, ?, ?, ?, ?, ?)",
          {row.release.value(), SignOffDecisionName(row.decision), row.person, row.role, row.comment, row.time_unix_ms})
      .status();
}

absl::StatusOr<std::vector<SignOffRow>> ReleaseTable::SignOffs(const ReleaseId& release) const {
  return ReadRows<SignOffRow>(
      database_->Query("SELECT id, release, decision, person, role, comment, time_unix_ms FROM sign_off "
                       "WHERE release = ? ORDER BY id DESC",
                       {release.value()}),
      ReadSignOff);
}

absl::StatusOr<std::optional<SignOffRow>> ReleaseTable::NewestSignOff(const ReleaseId& release) const {
  CLOISTER_ASSIGN_OR_RETURN(std::vector<SignOffRow> rows, SignOffs(release));
  if (rows.empty()) {
    return std::nullopt;
  }
  return rows.front();
}

}  // namespace cloister::site
