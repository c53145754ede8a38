// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/privacy_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "site_agent/storage/row_reader.h"

namespace cloister::site {
namespace {

constexpr char kColumns[] =
    "job, task, experiment, unit, epsilon, delta, max_epsilon, noise_multiplier, clip_norm, sampling_probability, "
    "steps, rounds, training_patients, accountant, state, trainings, spent_epsilon, updated_unix_ms";

constexpr char kUpsert[] =
    "INSERT INTO privacy ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?) "
    "ON CONFLICT (job) DO UPDATE SET task = excluded.task, experiment = excluded.experiment, unit = excluded.unit, "
    "epsilon = excluded.epsilon, delta = excluded.delta, max_epsilon = excluded.max_epsilon, "
    "noise_multiplier = excluded.noise_multiplier, clip_norm = excluded.clip_norm, "
    "sampling_probability = excluded.sampling_probability, steps = excluded.steps, rounds = excluded.rounds, "
    "training_patients = excluded.training_patients, accountant = excluded.accountant, state = excluded.state, "
    "updated_unix_ms = excluded.updated_unix_ms WHERE privacy.state = 'quoted'";

PrivacyState ParseState(const std::string& name) {
  for (PrivacyState state : {PrivacyState::kQuoted, PrivacyState::kEnded}) {
    if (name == PrivacyStateName(state)) {
      return state;
    }
  }
  return PrivacyState::kPromised;  // what counts most
}

PrivacyRow Read(RowReader& row) {
  PrivacyRow result;
  result.job = JobId::Parse(row.Text()).value_or(JobId());
  result.task = row.Text();
  result.experiment = row.Text();
  result.unit = row.Text();
  result.epsilon = row.Real();
  result.delta = row.Real();
  result.max_epsilon = row.Real();
  result.noise_multiplier = row.Real();
  result.clip_norm = row.Real();
  result.sampling_probability = row.Real();
  result.steps = row.Unsigned();
  result.rounds = row.Small();
  result.training_patients = row.Small();
  result.accountant = row.Text();
  result.state = ParseState(row.Text());
  result.trainings = row.Small();
  result.spent_epsilon = row.Real();
  result.updated_unix_ms = row.Int();
  return result;
}

storage::Parameters Values(const PrivacyRow& row, PrivacyState state) {
  return {row.job.value(),    row.task,        row.experiment,        row.unit,       row.epsilon,
          row.delta,          row.max_epsilon, row.noise_multiplier,  row.clip_norm,  row.sampling_probability,
          row.steps,          row.rounds,      row.training_patients, row.accountant, PrivacyStateName(state),
          row.updated_unix_ms};
}

// `source`: a Database or a Transaction.
template <typename Source>
absl::StatusOr<std::vector<PrivacyRow>> All(Source& source) {
  return ReadRows<PrivacyRow>(source.Query(fmt::format("SELECT {} FROM privacy ORDER BY rowid", kColumns)), Read);
}

PrivacyTotal TotalOf(const std::vector<PrivacyRow>& rows, const std::optional<JobId>& except) {
  PrivacyTotal total;
  for (const PrivacyRow& row : rows) {
    if (except.has_value() && row.job == *except) {
      continue;
    }
    total.spent_epsilon += row.spent_epsilon;
    total.taken_epsilon += row.TakenEpsilon();
    total.taken_delta += row.TakenDelta();
  }
  return total;
}

const PrivacyRow* Find(const std::vector<PrivacyRow>& rows, const JobId& job) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&job](const PrivacyRow& row) { return row.job == job; });
  return found == rows.end() ? nullptr : &*found;
}

// A number that is not finite fails.
absl::Status CheckBound(double taken_epsilon, double taken_delta, double epsilon, double delta,
                        const std::optional<PrivacyBound>& bound) {
  if (!bound.has_value()) {
    return absl::OkStatus();
  }
  if (!(taken_epsilon + epsilon <= bound->epsilon)) {
    return absl::ResourceExhaustedError(
        fmt::format("epsilon {:.3g} is asked for; of this site's {:.3g}, others have taken {:.3g}", epsilon,
                    bound->epsilon, taken_epsilon));
  }
  if (!(taken_delta + delta <= bound->delta)) {
    return absl::ResourceExhaustedError(
        fmt::format("delta {:.3g} is asked for; of this site's {:.3g}, others have taken {:.3g}", delta, bound->delta,
                    taken_delta));
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view PrivacyStateName(PrivacyState state) {
  switch (state) {
    case PrivacyState::kQuoted:
      return "quoted";
    case PrivacyState::kPromised:
      return "promised";
    case PrivacyState::kEnded:
      return "ended";
  }
  return "promised";
}

absl::Status PrivacyTable::Quote(const PrivacyRow& row) {
  return database_->Execute(fmt::format(kUpsert, kColumns), Values(row, PrivacyState::kQuoted)).status();
}

absl::Status PrivacyTable::Promise(const PrivacyRow& row, const std::optional<PrivacyBound>& bound) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, database_->Begin());
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<PrivacyRow> rows, All(transaction));
  const PrivacyRow* known = Find(rows, row.job);
  if (known != nullptr && known->state != PrivacyState::kQuoted) {
    const bool same = known->state == PrivacyState::kPromised && known->epsilon == row.epsilon &&
                      known->delta == row.delta && known->steps == row.steps && known->rounds == row.rounds;
    return same ? absl::OkStatus()
                : absl::FailedPreconditionError(fmt::format("the privacy of {} is {} already, as epsilon {:.3g}",
                                                            row.job.value(), PrivacyStateName(known->state),
                                                            known->epsilon));
  }
  const PrivacyTotal others = TotalOf(rows, row.job);
  CLOISTER_RETURN_IF_ERROR(CheckBound(others.taken_epsilon, others.taken_delta, row.epsilon, row.delta, bound));
  CLOISTER_RETURN_IF_ERROR(
      transaction.Execute(fmt::format(kUpsert, kColumns), Values(row, PrivacyState::kPromised)).status());
  return transaction.Commit();
}

absl::Status PrivacyTable::Spend(const JobId& job, const Digest& training, double spent_epsilon,
                                 const std::optional<PrivacyBound>& bound, int64_t now_unix_ms) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, database_->Begin());
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<PrivacyRow> rows, All(transaction));
  const PrivacyRow* row = Find(rows, job);
  if (row == nullptr || row->state != PrivacyState::kPromised) {
    return absl::FailedPreconditionError(
        fmt::format("no privacy is promised to {}{}", job.value(),
                    row == nullptr ? "" : ": " + std::string(PrivacyStateName(row->state))));
  }
  CLOISTER_ASSIGN_OR_RETURN(const auto noted,
                            transaction.Query("SELECT training FROM privacy_spending WHERE job = ? AND training = ?",
                                              {job.value(), training}));
  if (!noted.empty()) {
    return absl::OkStatus();
  }
  if (row->trainings >= row->rounds || !(spent_epsilon <= row->epsilon)) {
    return absl::ResourceExhaustedError(
        fmt::format("{} was promised {} trainings for epsilon {:.3g}; {} of them have been started, and one more would "
                    "make it {:.3g}",
                    job.value(), row->rounds, row->epsilon, row->trainings, spent_epsilon));
  }
  const PrivacyTotal others = TotalOf(rows, job);
  CLOISTER_RETURN_IF_ERROR(CheckBound(others.spent_epsilon, others.taken_delta, spent_epsilon, row->delta, bound));
  CLOISTER_RETURN_IF_ERROR(
      transaction
          .Execute("INSERT INTO privacy_spending (job, training, epsilon_after, time_unix_ms) VALUES (?, ?, ?, ?)",
                   {job.value(), training, spent_epsilon, now_unix_ms})
          .status());
  CLOISTER_RETURN_IF_ERROR(
      transaction
          .Execute("UPDATE privacy SET trainings = trainings + 1, spent_epsilon = MAX(spent_epsilon, ?), "
                   "updated_unix_ms = ? WHERE job = ?",
                   {spent_epsilon, now_unix_ms, job.value()})
          .status());
  return transaction.Commit();
}

absl::Status PrivacyTable::End(const JobId& job, int64_t now_unix_ms) {
  return database_
      ->Execute("UPDATE privacy SET state = 'ended', updated_unix_ms = ? WHERE job = ? AND state <> 'ended'",
                {now_unix_ms, job.value()})
      .status();
}

absl::StatusOr<bool> PrivacyTable::IsSpent(const JobId& job, const Digest& training) const {
  CLOISTER_ASSIGN_OR_RETURN(const auto rows,
                            database_->Query("SELECT training FROM privacy_spending WHERE job = ? AND training = ?",
                                             {job.value(), training}));
  return !rows.empty();
}

absl::StatusOr<std::optional<PrivacyRow>> PrivacyTable::Get(const JobId& job) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<PrivacyRow> rows, All(*database_));
  const PrivacyRow* row = Find(rows, job);
  return row == nullptr ? std::nullopt : std::optional<PrivacyRow>(*row);
}

absl::StatusOr<std::vector<PrivacyRow>> PrivacyTable::List() const {
  return All(*database_);
}

absl::StatusOr<PrivacyTotal> PrivacyTable::Total(const std::optional<JobId>& except) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<PrivacyRow> rows, All(*database_));
  return TotalOf(rows, except);
}

}  // namespace cloister::site
