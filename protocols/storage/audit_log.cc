// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/audit_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace cloister::storage {
namespace {

constexpr size_t kPage = 1000;  // records held in memory while verifying

const std::vector<Migration>& Migrations() {
  static const auto* migrations = new std::vector<Migration>{{"audit log", R"(
    CREATE TABLE audit_log (
      sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
      time_ms INTEGER NOT NULL,
      actor TEXT NOT NULL,
      action TEXT NOT NULL,
      subject TEXT NOT NULL,
      type TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      digest BLOB NOT NULL CHECK (length(digest) = 32),
      detail TEXT NOT NULL,
      previous BLOB NOT NULL CHECK (length(previous) = 32),
      hash BLOB NOT NULL CHECK (length(hash) = 32)
    );
    CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
      BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
      BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
  )"}};
  return *migrations;
}

constexpr char kColumns[] =
    "sequence, time_ms, actor, action, subject, type, size_bytes, digest, detail, previous, hash";

absl::StatusOr<audit::Record> RecordOf(const Row& row) {
  audit::Record record;
  CLOISTER_ASSIGN_OR_RETURN(record.sequence, row.Unsigned(0));
  CLOISTER_ASSIGN_OR_RETURN(const int64_t time_ms, row.Int(1));
  record.event.time = absl::FromUnixMillis(time_ms);
  CLOISTER_ASSIGN_OR_RETURN(record.event.actor, row.Text(2));
  CLOISTER_ASSIGN_OR_RETURN(record.event.action, row.Text(3));
  CLOISTER_ASSIGN_OR_RETURN(record.event.subject, row.Text(4));
  CLOISTER_ASSIGN_OR_RETURN(record.event.type, row.Text(5));
  CLOISTER_ASSIGN_OR_RETURN(record.event.size_bytes, row.Unsigned(6));
  CLOISTER_ASSIGN_OR_RETURN(record.event.digest, row.TakeDigest(7));
  CLOISTER_ASSIGN_OR_RETURN(record.event.detail, row.Text(8));
  CLOISTER_ASSIGN_OR_RETURN(record.previous, row.TakeDigest(9));
  CLOISTER_ASSIGN_OR_RETURN(record.hash, row.TakeDigest(10));
  return record;
}

absl::StatusOr<std::vector<audit::Record>> RecordsOf(const std::vector<Row>& rows) {
  std::vector<audit::Record> records;
  records.reserve(rows.size());
  for (const Row& row : rows) {
    absl::StatusOr<audit::Record> record = RecordOf(row);
    if (!record.ok()) {
      return Annotate(record.status(), fmt::format("audit record {}", row.Int(0).value_or(0)));
    }
    records.push_back(*std::move(record));
  }
  return records;
}

absl::StatusOr<audit::Head> HeadOf(const std::vector<Row>& rows) {
  audit::Head head;
  if (rows.empty()) return head;
  CLOISTER_ASSIGN_OR_RETURN(head.sequence, rows[0].Unsigned(0));
  CLOISTER_ASSIGN_OR_RETURN(head.hash, rows[0].TakeDigest(1));
  return head;
}

constexpr char kHeadQuery[] = "SELECT sequence, hash FROM audit_log ORDER BY sequence DESC LIMIT 1";

int64_t Clamp(uint64_t value) {
  return static_cast<int64_t>(std::min<uint64_t>(value, std::numeric_limits<int64_t>::max()));
}

}  // namespace

absl::StatusOr<AuditLog> AuditLog::Create(Database* database) {
  CLOISTER_RETURN_IF_ERROR(database->Migrate("audit", Migrations()));
  return AuditLog(database);
}

absl::StatusOr<audit::Record> AuditLog::Append(const audit::Event& event) {
  CLOISTER_ASSIGN_OR_RETURN(Transaction transaction, database_->Begin());
  CLOISTER_ASSIGN_OR_RETURN(audit::Record record, Append(transaction, event));
  CLOISTER_RETURN_IF_ERROR(transaction.Commit());
  return record;
}

absl::StatusOr<audit::Record> AuditLog::Append(Transaction& transaction, const audit::Event& event) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Row> last, transaction.Query(kHeadQuery));
  CLOISTER_ASSIGN_OR_RETURN(const audit::Head head, HeadOf(last));
  CLOISTER_ASSIGN_OR_RETURN(audit::Record record, audit::NextRecord(head, event));
  CLOISTER_RETURN_IF_ERROR(
      transaction
          .Execute(fmt::format("INSERT INTO audit_log ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kColumns),
                   {record.sequence, absl::ToUnixMillis(record.event.time), record.event.actor, record.event.action,
                    record.event.subject, record.event.type, record.event.size_bytes, record.event.digest,
                    record.event.detail, record.previous, record.hash})
          .status());
  return record;
}

absl::StatusOr<std::vector<audit::Record>> AuditLog::Read(uint64_t first_sequence, size_t limit) const {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database_->Query(fmt::format("SELECT {} FROM audit_log WHERE sequence >= ? ORDER BY sequence LIMIT ?", kColumns),
                       {Clamp(first_sequence), Clamp(limit)}));
  return RecordsOf(rows);
}

absl::StatusOr<std::vector<audit::Record>> AuditLog::ReadLast(size_t limit) const {
  CLOISTER_ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      database_->Query(fmt::format("SELECT {} FROM audit_log ORDER BY sequence DESC LIMIT ?", kColumns),
                       {Clamp(limit)}));
  std::reverse(rows.begin(), rows.end());
  return RecordsOf(rows);
}

absl::StatusOr<audit::Head> AuditLog::Head() const {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Row> last, database_->Query(kHeadQuery));
  return HeadOf(last);
}

absl::StatusOr<std::optional<audit::Break>> AuditLog::Verify(std::optional<audit::Head> remembered) const {
  audit::ChainVerifier verifier(remembered);
  const std::string page =
      fmt::format("SELECT {} FROM audit_log WHERE sequence > ? ORDER BY sequence LIMIT ?", kColumns);
  int64_t after = std::numeric_limits<int64_t>::min();
  for (;;) {
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                              database_->Query(page, {after, static_cast<int64_t>(kPage)}));
    for (const Row& row : rows) {
      const absl::StatusOr<audit::Record> record = RecordOf(row);
      if (!record.ok()) {
        const uint64_t sequence = verifier.head().sequence + 1;
        return audit::Break{audit::BreakKind::kAltered, sequence,
                            fmt::format("record {} is damaged: {}", sequence, std::string(record.status().message()))};
      }
      if (!verifier.Add(*record)) return verifier.Finish();
    }
    if (rows.size() < kPage) return verifier.Finish();
    CLOISTER_ASSIGN_OR_RETURN(after, rows.back().Int(0));
  }
}

}  // namespace cloister::storage
