// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/audit_log.h"

#include <gtest/gtest.h>

#include <memory>

#include "protocols/crypto/hash.h"
#include "tests/protocols/storage/child.h"
#include "tests/support/temp_dir.h"

namespace cloister::storage {
namespace {

using absl::StatusCode;
using audit::BreakKind;
using testing::Child;

audit::Event EventOf(int64_t i) {
  audit::Event event;
  event.time = absl::FromUnixMillis(1772352930125 + i);
  event.actor = "site-a";
  event.action = "egress";
  event.subject = "job-" + std::to_string(i);
  event.type = "masked_update";
  event.size_bytes = static_cast<uint64_t>(i);
  event.digest = crypto::Sha256(std::to_string(i));
  event.detail = R"({"round":1})";
  return event;
}

class AuditLogTest : public ::testing::Test {
 protected:
  AuditLogTest() : db_(Database::Open(path()).value()), log_(AuditLog::Create(&db_).value()) {}

  std::filesystem::path path() const { return dir_.path() / "a.db"; }
  void AppendMany(int64_t count) {
    Transaction transaction = db_.Begin().value();
    for (int64_t i = 0; i < count; ++i) ASSERT_TRUE(AuditLog::Append(transaction, EventOf(i)).ok());
    ASSERT_TRUE(transaction.Commit().ok());
  }
  // As an intruder with the file would.
  void Tamper(const std::string& sql) {
    ASSERT_TRUE(db_.Execute("DROP TRIGGER IF EXISTS audit_log_no_update").ok());
    ASSERT_TRUE(db_.Execute("DROP TRIGGER IF EXISTS audit_log_no_delete").ok());
    ASSERT_TRUE(db_.Execute("PRAGMA ignore_check_constraints = ON").ok());
    const absl::StatusOr<int64_t> changed = db_.Execute(sql);
    ASSERT_TRUE(changed.ok()) << changed.status().ToString();
    ASSERT_GT(*changed, 0);
  }

  testing::TempDir dir_;
  Database db_;
  AuditLog log_;
};

TEST_F(AuditLogTest, WhatIsAppendedIsReadBackAndVerifies) {
  EXPECT_EQ(log_.Head().value(), audit::Head());
  EXPECT_FALSE(log_.Verify().value());
  for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(log_.Append(EventOf(i)).value().sequence, static_cast<uint64_t>(i + 1));
  const std::vector<audit::Record> records = log_.Read(1, 100).value();
  ASSERT_EQ(records.size(), 5u);
  EXPECT_EQ(records[2].event.subject, "job-2");
  EXPECT_EQ(records[2].event.time, EventOf(2).time);
  EXPECT_EQ(records[2].event.digest, EventOf(2).digest);
  EXPECT_EQ(records[2].event.detail, EventOf(2).detail);
  EXPECT_EQ(records[2].previous, records[1].hash);
  EXPECT_EQ(log_.Head().value(), (audit::Head{5, records[4].hash}));
  EXPECT_FALSE(log_.Verify(audit::Head{3, records[2].hash}).value());
  EXPECT_EQ(log_.Read(4, 100).value().size(), 2u);
  EXPECT_EQ(log_.Read(2, 2).value().back().sequence, 3u);
  EXPECT_EQ(log_.Read(~uint64_t{0}, ~size_t{0}).value().size(), 0u);
  EXPECT_EQ(log_.ReadLast(2).value().front().sequence, 4u);
  // Opened again, it goes on.
  Database again = Database::Open(path()).value();
  AuditLog log = AuditLog::Create(&again).value();
  EXPECT_EQ(log.Append(EventOf(5)).value().sequence, 6u);
  EXPECT_FALSE(log_.Verify().value());
}

TEST_F(AuditLogTest, AppendsWithTheirTransactionOrNotAtAll) {
  ASSERT_TRUE(db_.Execute("CREATE TABLE jobs (id INTEGER)").ok());
  {
    Transaction transaction = db_.Begin().value();
    ASSERT_TRUE(transaction.Execute("INSERT INTO jobs VALUES (1)").ok());
    ASSERT_TRUE(AuditLog::Append(transaction, EventOf(1)).ok());
  }
  EXPECT_EQ(log_.Head().value().sequence, 0u);
  {
    Transaction transaction = db_.Begin().value();
    ASSERT_TRUE(transaction.Execute("INSERT INTO jobs VALUES (1)").ok());
    ASSERT_TRUE(AuditLog::Append(transaction, EventOf(1)).ok());
    ASSERT_TRUE(AuditLog::Append(transaction, EventOf(2)).ok());
    ASSERT_TRUE(transaction.Commit().ok());
  }
  EXPECT_EQ(log_.Head().value().sequence, 2u);
  EXPECT_FALSE(log_.Verify().value());
}

TEST_F(AuditLogTest, RefusesBadEventsUpdatesAndDeletes) {
  ASSERT_TRUE(log_.Append(EventOf(1)).ok());
  audit::Event event = EventOf(2);
  event.subject = "two\nlines";
  EXPECT_EQ(log_.Append(event).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(db_.Execute("UPDATE audit_log SET actor = 'x'").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(db_.Execute("DELETE FROM audit_log").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_FALSE(log_.Verify().value());
}

TEST_F(AuditLogTest, LongChainsVerifyPageByPage) {
  AppendMany(2500);
  EXPECT_FALSE(log_.Verify().value());
  Tamper("UPDATE audit_log SET size_bytes = 7 WHERE sequence = 2100");
  EXPECT_EQ(log_.Verify().value()->sequence, 2100u);
}

TEST_F(AuditLogTest, TamperingIsNamed) {
  struct Case {
    const char* sql;
    BreakKind kind;
    uint64_t sequence;
  };
  const std::vector<Case> cases = {
      {"UPDATE audit_log SET actor = 'x' WHERE sequence = 4", BreakKind::kAltered, 4},
      {"UPDATE audit_log SET time_ms = time_ms + 1 WHERE sequence = 4", BreakKind::kAltered, 4},
      {"UPDATE audit_log SET digest = zeroblob(32) WHERE sequence = 1", BreakKind::kAltered, 1},
      {"UPDATE audit_log SET hash = zeroblob(32) WHERE sequence = 6", BreakKind::kAltered, 6},
      {"UPDATE audit_log SET hash = zeroblob(31) WHERE sequence = 6", BreakKind::kAltered, 6},
      {"UPDATE audit_log SET hash = 'text' WHERE sequence = 6", BreakKind::kAltered, 6},
      {"UPDATE audit_log SET size_bytes = -1 WHERE sequence = 2", BreakKind::kAltered, 2},
      {"UPDATE audit_log SET actor = x'00' WHERE sequence = 2", BreakKind::kAltered, 2},
      {"DELETE FROM audit_log WHERE sequence = 3", BreakKind::kGap, 3},
      {"DELETE FROM audit_log WHERE sequence < 3", BreakKind::kGap, 1},
      {"DELETE FROM audit_log WHERE sequence > 5", BreakKind::kTruncated, 6},
      {"DELETE FROM audit_log", BreakKind::kTruncated, 1},
      {"UPDATE audit_log SET sequence = 20 WHERE sequence = 7", BreakKind::kGap, 7},
      {"UPDATE audit_log SET sequence = -1 WHERE sequence = 7", BreakKind::kAltered, 1},
  };
  for (const Case& c : cases) {
    const testing::TempDir dir;
    db_ = Database::Open(dir.path() / "a.db").value();
    log_ = AuditLog::Create(&db_).value();
    AppendMany(8);
    const audit::Head remembered = log_.Head().value();
    Tamper(c.sql);
    const std::optional<audit::Break> found = log_.Verify(remembered).value();
    ASSERT_TRUE(found) << c.sql;
    EXPECT_EQ(found->kind, c.kind) << c.sql << ": " << found->message;
    EXPECT_EQ(found->sequence, c.sequence) << c.sql << ": " << found->message;
  }
}

TEST_F(AuditLogTest, ReadNamesADamagedRow) {
  AppendMany(3);
  Tamper("UPDATE audit_log SET hash = 'text' WHERE sequence = 2");
  const absl::Status status = log_.Read(1, 10).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(std::string(status.message()).find("audit record 2"), std::string::npos);
}

TEST_F(AuditLogTest, SeveralProcessesAppendToOneChain) {
  std::vector<std::unique_ptr<Child>> children;
  for (int64_t c = 0; c < 3; ++c) {
    children.push_back(std::make_unique<Child>([this, c](int) -> std::string {
      absl::StatusOr<Database> db = Database::Open(path(), {absl::Seconds(60)});
      if (!db.ok()) return db.status().ToString();
      absl::StatusOr<AuditLog> log = AuditLog::Create(&*db);
      if (!log.ok()) return log.status().ToString();
      for (int64_t i = 0; i < 40; ++i) {
        if (const auto record = log->Append(EventOf(1000 * c + i)); !record.ok()) return record.status().ToString();
      }
      return "";
    }));
  }
  for (auto& child : children) EXPECT_EQ(child->Wait(), "");
  EXPECT_EQ(log_.Head().value().sequence, 120u);
  EXPECT_FALSE(log_.Verify().value());
}

TEST_F(AuditLogTest, KillNineLosesNoAcknowledgedRecord) {
  for (int run = 0; run < 8; ++run) {
    const uint64_t before = log_.Head().value().sequence;
    Child child([this](int progress) -> std::string {
      absl::StatusOr<Database> db = Database::Open(path());
      if (!db.ok()) return db.status().ToString();
      absl::StatusOr<AuditLog> log = AuditLog::Create(&*db);
      for (int64_t i = 0;; ++i) {
        if (!log->Append(EventOf(i)).ok() || write(progress, "a", 1) != 1) return "append";
      }
    });
    for (int i = 0; i <= 2 * run; ++i) ASSERT_EQ(child.ReadProgress().value_or('x'), 'a') << child.ReadRest();
    child.Kill();
    const uint64_t acknowledged = static_cast<uint64_t>(2 * run + 1) + child.ReadRest().size();
    EXPECT_GE(log_.Head().value().sequence, before + acknowledged);
    EXPECT_LE(log_.Head().value().sequence, before + acknowledged + 1);
    EXPECT_FALSE(log_.Verify().value());
  }
}

}  // namespace
}  // namespace cloister::storage
