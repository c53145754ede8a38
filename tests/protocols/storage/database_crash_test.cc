// SPDX-License-Identifier: Apache-2.0
// What a database keeps when processes die, disks fill and files are cut.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "protocols/base/file.h"
#include "protocols/storage/database.h"
#include "tests/protocols/storage/child.h"
#include "tests/support/temp_dir.h"

namespace cloister::storage {
namespace {

using absl::StatusCode;
using testing::Child;

// Two rows per transaction that sum to zero.
absl::Status Transfer(Database& db, int64_t n, const std::string& filler = "") {
  CLOISTER_ASSIGN_OR_RETURN(Transaction transaction, db.Begin());
  CLOISTER_RETURN_IF_ERROR(transaction.Execute("INSERT INTO t VALUES (?, ?, ?)", {2 * n, n, filler}).status());
  CLOISTER_RETURN_IF_ERROR(transaction.Execute("INSERT INTO t VALUES (?, ?, ?)", {2 * n + 1, -n, filler}).status());
  return transaction.Commit();
}

absl::Status Create(Database& db) {
  return db.Execute("CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v INTEGER NOT NULL, f TEXT NOT NULL)")
      .status();
}

int64_t Count(Database& db) {
  return db.Query("SELECT COUNT(*) FROM t").value()[0].Int(0).value();
}
int64_t Sum(Database& db) {
  return db.Query("SELECT COALESCE(SUM(v), 0) FROM t").value()[0].Int(0).value();
}

TEST(DatabaseCrashTest, KillNineKeepsWhatWasCommittedAndNothingElse) {
  const testing::TempDir dir;
  const auto path = dir.path() / "a.db";
  int64_t acknowledged = 0;
  for (int run = 0; run < 15; ++run) {
    Child child([&](int progress) -> std::string {
      absl::StatusOr<Database> db = Database::Open(path);
      if (!db.ok()) return db.status().ToString();
      if (!Create(*db).ok()) return "cannot create";
      for (int64_t n = Count(*db) / 2;; ++n) {
        if (const absl::Status status = Transfer(*db, n); !status.ok()) return status.ToString();
        if (write(progress, "c", 1) != 1) return "pipe";
      }
    });
    // At a different moment each time: after `run` commits and a few microseconds.
    for (int i = 0; i < 1 + run; ++i) ASSERT_EQ(child.ReadProgress().value_or('x'), 'c') << child.ReadRest();
    std::this_thread::sleep_for(std::chrono::microseconds(137 * run));
    child.Kill();
    acknowledged += 1 + run + static_cast<int64_t>(child.ReadRest().size());
    Database db = Database::Open(path).value();
    EXPECT_EQ(Sum(db), 0);
    EXPECT_EQ(Count(db) % 2, 0);
    EXPECT_GE(Count(db), 2 * acknowledged);
    EXPECT_LE(Count(db), 2 * acknowledged + 2);  // committed, but killed before it could say so
    acknowledged = Count(db) / 2;
    EXPECT_EQ(db.Query("PRAGMA integrity_check").value()[0].Text(0).value(), "ok");
  }
}

TEST(DatabaseCrashTest, SeveralProcessesWriteTheSameFile) {
  const testing::TempDir dir;
  const auto path = dir.path() / "a.db";
  std::vector<std::unique_ptr<Child>> children;
  for (int c = 0; c < 4; ++c) {
    children.push_back(std::make_unique<Child>([&](int) -> std::string {
      absl::StatusOr<Database> db = Database::Open(path, {absl::Seconds(60)});
      if (!db.ok()) return db.status().ToString();
      const absl::Status migrated = db->Migrate("n", {{"n",
                                                       "CREATE TABLE n (v INTEGER NOT NULL);"
                                                       "INSERT INTO n VALUES (0);"}});
      if (!migrated.ok()) return migrated.ToString();
      for (int i = 0; i < 25; ++i) {
        absl::StatusOr<Transaction> transaction = db->Begin();
        if (!transaction.ok()) return transaction.status().ToString();
        const int64_t v = transaction->Query("SELECT v FROM n").value()[0].Int(0).value();
        if (!transaction->Execute("UPDATE n SET v = ?", {v + 1}).ok()) return "update";
        if (const absl::Status status = transaction->Commit(); !status.ok()) return status.ToString();
      }
      return "";
    }));
  }
  for (auto& child : children) EXPECT_EQ(child->Wait(), "");
  Database db = Database::Open(path).value();
  EXPECT_EQ(db.Query("SELECT v FROM n").value()[0].Int(0).value(), 100);
}

TEST(DatabaseCrashTest, AProcessThatKeepsTheLockMakesOthersUnavailableUntilItDies) {
  const testing::TempDir dir;
  const auto path = dir.path() / "a.db";
  Database db = Database::Open(path, {absl::Milliseconds(50)}).value();
  ASSERT_TRUE(Create(db).ok());
  Child child([&](int progress) -> std::string {
    absl::StatusOr<Database> mine = Database::Open(path);
    if (!mine.ok()) return mine.status().ToString();
    absl::StatusOr<Transaction> transaction = mine->Begin();
    if (!transaction.ok()) return transaction.status().ToString();
    if (!transaction->Execute("INSERT INTO t VALUES (1, 1, '')").ok()) return "insert";
    if (write(progress, "l", 1) != 1) return "pipe";
    pause();
    return "";
  });
  ASSERT_EQ(child.ReadProgress().value_or('x'), 'l');
  EXPECT_EQ(db.Begin().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Count(db), 0);
  child.Kill();
  EXPECT_TRUE(db.Begin().ok());
  EXPECT_EQ(Count(db), 0);
}

// A power cut leaves the write-ahead log cut anywhere: what is left is a prefix of the transactions, whole ones only.
TEST(DatabaseCrashTest, AWriteAheadLogCutAnywhereIsAPrefix) {
  const testing::TempDir dir;
  const auto path = dir.path() / "a.db";
  Bytes file, log;
  {
    Database db = Database::Open(path).value();
    ASSERT_TRUE(Create(db).ok());
    for (int64_t n = 0; n < 6; ++n) ASSERT_TRUE(Transfer(db, n).ok());
    file = ReadFile(path).value();
    log = ReadFile(path.string() + "-wal").value();
  }
  ASSERT_GT(log.size(), 20000u);
  const auto cut_path = dir.path() / "cut.db";
  int64_t largest = -1;
  for (size_t cut = 0; cut <= log.size(); cut += cut < 100 ? 3 : 617) {
    std::filesystem::remove(cut_path.string() + "-shm");
    ASSERT_TRUE(WriteFileAtomically(cut_path, file).ok());
    ASSERT_TRUE(WriteFileAtomically(cut_path.string() + "-wal", log.substr(0, cut)).ok());
    Database db = Database::Open(cut_path).value();
    ASSERT_TRUE(Create(db).ok());
    const int64_t count = Count(db);
    EXPECT_EQ(count % 2, 0) << cut;
    EXPECT_EQ(Sum(db), 0) << cut;
    EXPECT_GE(count, largest) << cut;
    largest = count;
  }
  EXPECT_GE(largest, 10);  // the last step may fall short of the last frame
}

// `grow` runs in a child whose disk is nearly full, then `space` makes room.
std::string FillUp(const std::filesystem::path& path, const std::function<void()>& space) {
  absl::StatusOr<Database> db = Database::Open(path);
  if (!db.ok()) return db.status().ToString();
  if (const absl::Status status = Create(*db); !status.ok()) return status.ToString();
  int64_t n = 0;
  absl::Status status;
  while (status.ok() && n < 10000) status = Transfer(*db, n++, std::string(5000, 'f'));
  if (status.code() != StatusCode::kResourceExhausted) return "not RESOURCE_EXHAUSTED but " + status.ToString();
  if (std::string(status.message()).find("free some space") == std::string::npos) return "no advice";
  if (Count(*db) != 2 * (n - 1) || Sum(*db) != 0) return "a failed transaction was kept";
  {
    // Whatever goes wrong inside a transaction that has failed, no later statement of it may be kept on its own.
    absl::StatusOr<Transaction> transaction = db->Begin();
    if (transaction.ok()) {
      for (int64_t i = 0; i < 100; ++i) {
        (void)transaction->Execute("INSERT INTO t VALUES (?, 1, ?)", {1000000 + i, std::string(100000, 'g')});
      }
      (void)transaction->Execute("INSERT INTO t VALUES (-1, 1, '')");
      if (transaction->Commit().ok()) return "committed past a full disk";
    }
  }
  space();
  if (Count(*db) != 2 * (n - 1) || Sum(*db) != 0) return "half a transaction was kept";
  if (status = Transfer(*db, n); !status.ok()) return "does not go on: " + status.ToString();
  if (Sum(*db) != 0) return "sum";
  return "";
}

TEST(DatabaseCrashTest, AFileSizeLimitIsReportedAndSurvived) {
  const testing::TempDir dir;
  Child child([&](int) {
    testing::LimitFileSize(512 << 10);
    return FillUp(dir.path() / "a.db", [] { testing::LimitFileSize(RLIM_INFINITY); });
  });
  EXPECT_EQ(child.Wait(), "");
}

TEST(DatabaseCrashTest, AFullDiskIsReportedAndSurvived) {
  const testing::TempDir dir;
  Child child([&](int) -> std::string {
    if (const std::string why = testing::MountTinyDisk(dir.path().string(), "2m"); !why.empty()) return "CANNOT " + why;
    const auto ballast = dir.path() / "ballast";
    if (!WriteFileAtomically(ballast, Bytes(1 << 20, 'b')).ok()) return "ballast";
    return FillUp(dir.path() / "a.db", [&] { std::filesystem::remove(ballast); });
  });
  const std::string error = child.Wait();
  if (error.find("CANNOT") != std::string::npos) GTEST_SKIP() << "no tmpfs can be mounted here: " << error;
  EXPECT_EQ(error, "");
}

}  // namespace
}  // namespace cloister::storage
