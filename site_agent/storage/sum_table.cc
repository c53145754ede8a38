// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/sum_table.h"

#include <fmt/format.h>

#include "site_agent/storage/row_reader.h"

namespace cloister::site {

using storage::Durable;

namespace {

// The upper end of the keys that start with `prefix`, so that LIKE's wildcards never matter.
std::string AfterPrefix(std::string prefix) {
  prefix += '\x7f';
  return prefix;
}

absl::Status PutFacts(storage::Transaction& transaction, const std::map<std::string, Digest>& facts) {
  for (const auto& [key, value] : facts) {
    CLOISTER_RETURN_IF_ERROR(
        transaction
            .Execute("INSERT INTO sum_fact (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", {key, value})
            .status());
    CLOISTER_ASSIGN_OR_RETURN(const Digest stored,
                              ReadOne<Digest>(transaction.Query("SELECT value FROM sum_fact WHERE key = ?", {key}),
                                              "fact " + key, [](RowReader& row) { return row.TakeDigest(); }));
    if (stored != value) {
      return absl::AbortedError(fmt::format("{} would contradict what this site said before", key));
    }
  }
  return absl::OkStatus();
}

absl::Status PutVectors(storage::Transaction& transaction, const SumKey& key,
                        const std::vector<SumVectorRow>& vectors) {
  int place = 0;
  for (const SumVectorRow& vector : vectors) {
    CLOISTER_RETURN_IF_ERROR(transaction
                                 .Execute("INSERT OR REPLACE INTO sum_vector (job, kind, round, attempt, place, name, "
                                          "digest, length, path) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                          {key.job.value(), key.kind, key.round, key.attempt, place++, vector.name,
                                           vector.digest, vector.length, vector.path})
                                 .status());
  }
  return absl::OkStatus();
}

absl::Status PutCheck(storage::Transaction& transaction, const SumKey& key, const SumCheckRow& check) {
  return transaction
      .Execute(
          "INSERT OR REPLACE INTO sum_check (job, kind, round, attempt, model, ctx2, survivors, seed) VALUES (?, ?, "
          "?, ?, ?, ?, ?, ?)",
          {key.job.value(), key.kind, key.round, key.attempt, check.model, check.ctx2, check.survivors,
           storage::Blob{Bytes(check.seed.view())}})
      .status();
}

}  // namespace

absl::Status SumTable::PutStep(const SumKey& key, int phase, const SumStepRows& rows) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, database_->Begin(Durable::kWithNext));
  CLOISTER_RETURN_IF_ERROR(PutFacts(transaction, rows.facts));
  CLOISTER_RETURN_IF_ERROR(PutVectors(transaction, key, rows.vectors));
  if (rows.check.has_value()) {
    CLOISTER_RETURN_IF_ERROR(PutCheck(transaction, key, *rows.check));
  }
  if (rows.reply.has_value()) {
    CLOISTER_RETURN_IF_ERROR(
        transaction
            .Execute(
                "UPDATE sum_message SET reply = ? WHERE job = ? AND kind = ? AND round = ? AND attempt = ? AND phase = "
                "?",
                {storage::Blob{*rows.reply}, key.job.value(), key.kind, key.round, key.attempt, phase})
            .status());
  }
  return transaction.Commit();
}

absl::StatusOr<std::map<std::string, Digest>> SumTable::Facts(const std::string& prefix) const {
  using Pair = std::pair<std::string, Digest>;
  CLOISTER_ASSIGN_OR_RETURN(
      std::vector<Pair> rows,
      ReadRows<Pair>(
          database_->Query("SELECT key, value FROM sum_fact WHERE key >= ? AND key < ?", {prefix, AfterPrefix(prefix)}),
          [](RowReader& row) {
            std::string key = row.Text();
            return Pair(std::move(key), row.TakeDigest());
          }));
  return std::map<std::string, Digest>(rows.begin(), rows.end());
}

absl::Status SumTable::PutMessage(const SumKey& key, int phase, const Bytes& message) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, database_->Begin(Durable::kWithNext));
  CLOISTER_RETURN_IF_ERROR(
      transaction
          .Execute("INSERT INTO sum_message (job, kind, round, attempt, phase, message, reply, sent) "
                   "VALUES (?, ?, ?, ?, ?, ?, x'', 0) ON CONFLICT DO NOTHING",
                   {key.job.value(), key.kind, key.round, key.attempt, phase, storage::Blob{message}})
          .status());
  CLOISTER_ASSIGN_OR_RETURN(
      const Bytes stored,
      ReadOne<Bytes>(transaction.Query("SELECT message FROM sum_message WHERE job = ? AND kind = ? AND round = ? AND "
                                       "attempt = ? AND phase = ?",
                                       {key.job.value(), key.kind, key.round, key.attempt, phase}),
                     "the message", [](RowReader& row) { return row.Blob(); }));
  if (stored != message) {
    return absl::AbortedError(fmt::format(
        "round {} attempt {}: the coordinator sent two different messages of phase {}", key.round, key.attempt, phase));
  }
  return transaction.Commit();
}

absl::Status SumTable::SetSent(const SumKey& key, int phase) {
  return database_
      ->Execute(
          "UPDATE sum_message SET sent = 1 WHERE job = ? AND kind = ? AND round = ? AND attempt = ? AND phase = ?",
          {key.job.value(), key.kind, key.round, key.attempt, phase}, Durable::kWithNext)
      .status();
}

absl::StatusOr<std::vector<SumMessageRow>> SumTable::Messages(const SumKey& key) const {
  return ReadRows<SumMessageRow>(
      database_->Query("SELECT phase, message, reply, sent FROM sum_message WHERE job = ? AND kind = ? AND round = ? "
                       "AND attempt = ? ORDER BY phase",
                       {key.job.value(), key.kind, key.round, key.attempt}),
      [](RowReader& row) {
        SumMessageRow message;
        message.phase = row.Small();
        message.message = row.Blob();
        message.reply = row.Blob();
        message.sent = row.Bool();
        return message;
      });
}

absl::StatusOr<std::vector<SumVectorRow>> SumTable::Vectors(const SumKey& key) const {
  return ReadRows<SumVectorRow>(
      database_->Query("SELECT name, digest, length, path FROM sum_vector WHERE job = ? AND kind = ? AND round = ? "
                       "AND attempt = ? ORDER BY place",
                       {key.job.value(), key.kind, key.round, key.attempt}),
      [](RowReader& row) {
        SumVectorRow vector;
        vector.name = row.Text();
        vector.digest = row.TakeDigest();
        vector.length = row.Unsigned();
        vector.path = row.Text();
        return vector;
      });
}

absl::StatusOr<std::vector<SumCheckRow>> SumTable::Checks(const JobId& job, int kind, uint32_t round) const {
  return ReadRows<SumCheckRow>(
      database_->Query("SELECT model, ctx2, survivors, seed FROM sum_check WHERE job = ? AND kind = ? AND round = ? "
                       "ORDER BY attempt",
                       {job.value(), kind, round}),
      [](RowReader& row) {
        SumCheckRow check;
        check.model = row.TakeDigest();
        check.ctx2 = row.TakeDigest();
        check.survivors = row.TakeDigest();
        Bytes seed = row.Blob();
        check.seed = crypto::SecretBytes::TakeFrom(seed);
        return check;
      });
}

absl::Status SumTable::SetChecked(const JobId& job, const Digest& model) {
  return database_
      ->Execute("INSERT OR IGNORE INTO checked_model (job, digest) VALUES (?, ?)", {job.value(), model},
                Durable::kWithNext)
      .status();
}

absl::StatusOr<bool> SumTable::IsChecked(const JobId& job, const Digest& model) const {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<storage::Row> rows,
      database_->Query("SELECT 1 FROM checked_model WHERE job = ? AND digest = ?", {job.value(), model}));
  return !rows.empty();
}

absl::Status SumTable::ForgetJob(const JobId& job) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, database_->Begin());
  CLOISTER_RETURN_IF_ERROR(transaction.Execute("DELETE FROM sum_message WHERE job = ?", {job.value()}).status());
  CLOISTER_RETURN_IF_ERROR(transaction.Execute("DELETE FROM sum_vector WHERE job = ?", {job.value()}).status());
  CLOISTER_RETURN_IF_ERROR(transaction.Execute("DELETE FROM sum_check WHERE job = ?", {job.value()}).status());
  CLOISTER_RETURN_IF_ERROR(transaction.Execute("DELETE FROM checked_model WHERE job = ?", {job.value()}).status());
  return transaction.Commit();
}

}  // namespace cloister::site
