// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/experiment_table.h"

#include <fmt/format.h>

#include "site_agent/storage/row_reader.h"

namespace cloister::site {
namespace {

constexpr char kColumns[] =
    "job, plan_digest, plan, name, task, sponsor, state, refusal, detail, acceptance, closed_phase, closed_reason, "
    "received_unix_ms, answered_unix_ms";

ExperimentState ParseState(const std::string& name) {
  for (ExperimentState state : {ExperimentState::kAccepted, ExperimentState::kRefused, ExperimentState::kClosed}) {
    if (name == ExperimentStateName(state)) {
      return state;
    }
  }
  return ExperimentState::kOffered;
}

ExperimentRow Read(RowReader& row) {
  ExperimentRow result;
  result.job = JobId::Parse(row.Text()).value_or(JobId());
  result.plan_digest = row.TakeDigest();
  result.plan = row.Blob();
  result.name = row.Text();
  result.task = row.Text();
  result.sponsor = row.Text();
  result.state = ParseState(row.Text());
  result.refusal = row.Text();
  result.detail = row.Text();
  result.acceptance = row.Blob();
  result.closed_phase = row.Text();
  result.closed_reason = row.Text();
  result.received_unix_ms = row.Int();
  result.answered_unix_ms = row.Int();
  return result;
}

}  // namespace

std::string_view ExperimentStateName(ExperimentState state) {
  switch (state) {
    case ExperimentState::kOffered:
      return "offered";
    case ExperimentState::kAccepted:
      return "accepted";
    case ExperimentState::kRefused:
      return "refused";
    case ExperimentState::kClosed:
      return "closed";
  }
  return "offered";
}

absl::Status ExperimentTable::AddOffer(const ExperimentRow& row) {
  const absl::StatusOr<ExperimentRow> known = Get(row.job);
  if (known.ok()) {
    if (known->plan_digest != row.plan_digest) {
      return absl::FailedPreconditionError(fmt::format("job {} was offered before with another plan", row.job.value()));
    }
    return absl::OkStatus();
  }
  return database_
      ->Execute(fmt::format("INSERT INTO experiment ({}) VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, x'', '', '', ?, 0) "
                            "ON CONFLICT (job) DO NOTHING",
                            kColumns),
                {row.job.value(), row.plan_digest, storage::Blob{row.plan}, row.name, row.task, row.sponsor,
                 ExperimentStateName(row.state), row.detail, row.received_unix_ms})
      .status();
}

absl::Status ExperimentTable::SetAccepted(const JobId& job, const Bytes& acceptance, int64_t now_unix_ms) {
  return database_
      ->Execute(
          "UPDATE experiment SET state = 'accepted', refusal = '', detail = '', acceptance = ?, "
          "answered_unix_ms = ? WHERE job = ? AND state <> 'closed'",
          {storage::Blob{acceptance}, now_unix_ms, job.value()})
      .status();
}

absl::Status ExperimentTable::SetRefused(const JobId& job, const std::string& refusal, const std::string& detail,
                                         int64_t now_unix_ms) {
  return database_
      ->Execute(
          "UPDATE experiment SET state = 'refused', refusal = ?, detail = ?, answered_unix_ms = ? "
          "WHERE job = ? AND state IN ('offered', 'refused')",
          {refusal, detail, now_unix_ms, job.value()})
      .status();
}

absl::Status ExperimentTable::SetDetail(const JobId& job, const std::string& detail) {
  return database_->Execute("UPDATE experiment SET detail = ? WHERE job = ?", {detail, job.value()}).status();
}

absl::Status ExperimentTable::SetClosed(const JobId& job, const std::string& phase, const std::string& reason) {
  return database_
      ->Execute("UPDATE experiment SET state = 'closed', closed_phase = ?, closed_reason = ? WHERE job = ?",
                {phase, reason, job.value()})
      .status();
}

absl::StatusOr<ExperimentRow> ExperimentTable::Get(const JobId& job) const {
  return ReadOne<ExperimentRow>(
      database_->Query(fmt::format("SELECT {} FROM experiment WHERE job = ?", kColumns), {job.value()}),
      "experiment " + job.value(), Read);
}

absl::StatusOr<std::vector<ExperimentRow>> ExperimentTable::List() const {
  return ReadRows<ExperimentRow>(
      database_->Query(fmt::format("SELECT {} FROM experiment ORDER BY received_unix_ms DESC, job", kColumns)), Read);
}

absl::StatusOr<std::optional<JobId>> ExperimentTable::DecidedElsewhere(const Digest& plan_digest,
                                                                       const JobId& job) const {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<std::string> jobs,
      ReadRows<std::string>(
          database_->Query("SELECT job FROM experiment WHERE plan_digest = ? AND job <> ? AND "
                           "(acceptance <> x'' OR refusal = 'DECLINED') ORDER BY received_unix_ms DESC LIMIT 1",
                           {plan_digest, job.value()}),
          [](RowReader& row) { return row.Text(); }));
  if (jobs.empty()) {
    return std::nullopt;
  }
  CLOISTER_ASSIGN_OR_RETURN(JobId other, JobId::Parse(jobs.front()));
  return other;
}

absl::Status ExperimentTable::AddApproval(const ApprovalRow& row) {
  return database_
      ->Execute(
          "INSERT INTO approval (job, plan_digest, decision, person, comment, time_unix_ms) VALUES (?, ?, ?, ?, ?, ?)",
          {row.job.value(), row.plan_digest, row.decision == ApprovalDecision::kApproved ? "approved" : "declined",
           row.person, row.comment, row.time_unix_ms})
      .status();
}

absl::StatusOr<std::optional<ApprovalRow>> ExperimentTable::NewestApproval(const JobId& job,
                                                                           const Digest& plan_digest) const {
  CLOISTER_ASSIGN_OR_RETURN(
      std::vector<ApprovalRow> rows,
      ReadRows<ApprovalRow>(
          database_->Query("SELECT plan_digest, decision, person, comment, time_unix_ms FROM approval "
                           "WHERE job = ? AND plan_digest = ? ORDER BY id DESC LIMIT 1",
                           {job.value(), plan_digest}),
          [&job](RowReader& row) {
            ApprovalRow approval;
            approval.job = job;
            approval.plan_digest = row.TakeDigest();
            approval.decision = row.Text() == "approved" ? ApprovalDecision::kApproved : ApprovalDecision::kDeclined;
            approval.person = row.Text();
            approval.comment = row.Text();
            approval.time_unix_ms = row.Int();
            return approval;
          }));
  if (rows.empty()) {
    return std::nullopt;
  }
  return rows.front();
}

}  // namespace cloister::site
