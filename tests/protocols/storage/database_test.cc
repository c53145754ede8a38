// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <limits>
#include <thread>

#include "protocols/base/file.h"
#include "tests/support/temp_dir.h"

namespace cloister::storage {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;
using ::testing::Not;

class DatabaseTest : public ::testing::Test {
 protected:
  Database Open(const DatabaseOptions& options = {}) { return Database::Open(dir_.path() / "a.db", options).value(); }

  testing::TempDir dir_;
};

StatusCode CodeOf(const absl::StatusOr<int64_t>& result) {
  return result.status().code();
}

TEST_F(DatabaseTest, EveryKindOfValueSurvives) {
  Database db = Open();
  ASSERT_TRUE(db.Execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v)").ok());
  const std::string zeros("a\0b\0", 4);
  Bytes every_byte;
  for (int i = 0; i < 256; ++i) every_byte.push_back(static_cast<char>(i));
  const std::vector<Value> values = {Null(),
                                     0,
                                     std::numeric_limits<int64_t>::min(),
                                     std::numeric_limits<int64_t>::max(),
                                     uint64_t{1} << 40,
                                     true,
                                     0.1,
                                     -std::numeric_limits<double>::infinity(),
                                     5e-324,
                                     "",
                                     "text",
                                     "\xe8\x82\xba\xe7\x82\x8e",
                                     zeros,
                                     Blob{""},
                                     Blob{every_byte},
                                     Blob{Bytes(3 << 20, '\0')}};
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(db.Execute("INSERT INTO t (k, v) VALUES (?, ?)", {i, values[i]}).value(), 1);
  }
  const std::vector<Row> rows = db.Query("SELECT k, v, v FROM t ORDER BY k").value();
  ASSERT_EQ(rows.size(), values.size());
  EXPECT_TRUE(rows[0].is_null(1));
  EXPECT_EQ(rows[1].Int(1).value(), 0);
  EXPECT_EQ(rows[2].Int(1).value(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(rows[3].Unsigned(1).value(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(rows[4].Int(2).value(), int64_t{1} << 40);
  EXPECT_TRUE(rows[5].Bool(1).value());
  EXPECT_EQ(rows[6].Double(1).value(), 0.1);
  EXPECT_EQ(rows[7].Double(1).value(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(rows[8].Double(1).value(), 5e-324);
  EXPECT_EQ(rows[9].Text(1).value(), "");
  EXPECT_EQ(rows[10].Text(2).value(), "text");
  EXPECT_EQ(rows[12].Text(1).value(), zeros);
  EXPECT_EQ(rows[13].Blob(1).value(), "");
  EXPECT_FALSE(rows[13].is_null(1));
  EXPECT_EQ(rows[14].Blob(1).value(), every_byte);
  EXPECT_EQ(rows[15].Blob(1).value(), Bytes(3 << 20, '\0'));
}

TEST_F(DatabaseTest, RowAccessorsRefuseOtherTypes) {
  Database db = Open();
  const Row row = db.Query("SELECT -1, 'x', x'00', 1.5, NULL, 2").value()[0];
  EXPECT_EQ(row.size(), 6u);
  EXPECT_EQ(row.Unsigned(0).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(row.Bool(5).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(row.Int(1).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(row.Int(3).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(row.Text(2).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(row.Blob(1).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(row.TakeDigest(2).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(row.Double(1).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(row.Double(0).value(), -1);
  EXPECT_EQ(row.Text(4).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(row.Int(6).status().code(), StatusCode::kInternal);
  EXPECT_FALSE(row.is_null(6));
}

TEST_F(DatabaseTest, ErrorsHaveTheirCodes) {
  Database db = Open();
  ASSERT_TRUE(
      db.Execute("CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE, c INTEGER NOT NULL CHECK (c > 0))").ok());
  ASSERT_TRUE(db.Execute("CREATE TABLE f (p INTEGER NOT NULL REFERENCES p (id))").ok());
  ASSERT_TRUE(db.Execute("INSERT INTO p VALUES (1, 'a', 1)").ok());
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO p VALUES (1, 'b', 1)")), StatusCode::kAlreadyExists);
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO p VALUES (2, 'a', 1)")), StatusCode::kAlreadyExists);
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO p VALUES (2, 'b', NULL)")), StatusCode::kFailedPrecondition);
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO p VALUES (2, 'b', 0)")), StatusCode::kFailedPrecondition);
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO f VALUES (9)")), StatusCode::kFailedPrecondition);
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO nowhere VALUES (9)")), StatusCode::kInternal);
  EXPECT_EQ(CodeOf(db.Execute("SELEKT 1")), StatusCode::kInternal);
  EXPECT_EQ(CodeOf(db.Execute("")), StatusCode::kInternal);
  EXPECT_EQ(CodeOf(db.Execute("-- nothing")), StatusCode::kInternal);
  EXPECT_EQ(CodeOf(db.Execute("SELECT 'open")), StatusCode::kInternal);
  EXPECT_EQ(db.Query("SELECT * FROM p").value().size(), 1u);
}

TEST_F(DatabaseTest, ExactlyOneStatementAndExactlyItsParameters) {
  Database db = Open();
  ASSERT_TRUE(db.Execute("CREATE TABLE t (a, b);").ok());
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO t VALUES (1, 2); DELETE FROM t")), StatusCode::kInternal);
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO t VALUES (?, ?)", {1})), StatusCode::kInternal);
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO t VALUES (?, ?)", {1, 2, 3})), StatusCode::kInternal);
  EXPECT_EQ(CodeOf(db.Execute("INSERT INTO t VALUES (1, 2)", {1})), StatusCode::kInternal);
  EXPECT_EQ(db.Query("SELECT * FROM t").value().size(), 0u);
  EXPECT_TRUE(db.Execute("INSERT INTO t VALUES (?, ';')", {"; DROP TABLE t; --"}).ok());
  EXPECT_EQ(db.Query("SELECT a, b FROM t").value()[0].Text(0).value(), "; DROP TABLE t; --");
}

// SOCI's own description of rows would run this twice.
TEST_F(DatabaseTest, ReturningInsertsOnce) {
  Database db = Open();
  ASSERT_TRUE(db.Execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT NOT NULL)").ok());
  const std::vector<Row> rows = db.Query("INSERT INTO t (a) VALUES (?) RETURNING id, a", {"x"}).value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].Int(0).value(), 1);
  EXPECT_EQ(db.Query("SELECT id FROM t").value().size(), 1u);
}

TEST_F(DatabaseTest, MessagesNeverCarryParameters) {
  Database db = Open();
  ASSERT_TRUE(db.Execute("CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT NOT NULL)").ok());
  ASSERT_TRUE(db.Execute("INSERT INTO t VALUES (?, ?)", {"canary", "canary"}).ok());
  for (const absl::Status& status : {db.Execute("INSERT INTO t VALUES (?, ?)", {"canary", "canary"}).status(),
                                     db.Execute("INSERT INTO t VALUES (?, ?)", {"canary", Null()}).status(),
                                     db.Execute("INSERT INTO t VALUES (?)", {"canary"}).status(),
                                     db.Execute("INSERT INTO x VALUES (?)", {"canary"}).status()}) {
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
  }
}

TEST_F(DatabaseTest, TransactionsCommitOrVanish) {
  Database db = Open();
  ASSERT_TRUE(db.Execute("CREATE TABLE t (a INTEGER PRIMARY KEY)").ok());
  {
    Transaction transaction = db.Begin().value();
    ASSERT_TRUE(transaction.Execute("INSERT INTO t VALUES (1)").ok());
    ASSERT_TRUE(transaction.Commit().ok());
    EXPECT_EQ(transaction.Commit().code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(CodeOf(transaction.Execute("INSERT INTO t VALUES (9)")), StatusCode::kFailedPrecondition);
    EXPECT_FALSE(transaction.Query("SELECT 1").ok());
  }
  {
    Transaction transaction = db.Begin().value();
    ASSERT_TRUE(transaction.Execute("INSERT INTO t VALUES (2)").ok());
    EXPECT_EQ(transaction.Query("SELECT a FROM t").value().size(), 2u);
  }
  {
    Transaction transaction = db.Begin().value();
    ASSERT_TRUE(transaction.Execute("INSERT INTO t VALUES (3)").ok());
    transaction.Rollback();
    EXPECT_EQ(transaction.Commit().code(), StatusCode::kFailedPrecondition);
  }
  {
    Transaction transaction = db.Begin().value();
    ASSERT_TRUE(transaction.Execute("INSERT INTO t VALUES (4)").ok());
    // A refused row does not end the transaction.
    EXPECT_EQ(CodeOf(transaction.Execute("INSERT INTO t VALUES (1)")), StatusCode::kAlreadyExists);
    Transaction moved = std::move(transaction);
    ASSERT_TRUE(moved.Execute("INSERT INTO t VALUES (5)").ok());
    ASSERT_TRUE(moved.Commit().ok());
  }
  const std::vector<Row> rows = db.Query("SELECT a FROM t ORDER BY a").value();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].Int(0).value(), 4);
}

// SQLite syncs its log at each commit with synchronous = FULL (2), and with NORMAL (1) only before it empties it.
TEST_F(DatabaseTest, OnlyACommitThatMustBeDurableWaitsForTheDisk) {
  Database db = Open();
  ASSERT_TRUE(db.Execute("CREATE TABLE t (a INTEGER PRIMARY KEY)").ok());
  const auto level = [](Transaction& transaction) {
    return transaction.Query("PRAGMA synchronous").value()[0].Int(0).value();
  };
  for (const Durable durable : {Durable::kNow, Durable::kWithNext, Durable::kWithNext, Durable::kNow}) {
    Transaction transaction = db.Begin(durable).value();
    EXPECT_EQ(level(transaction), durable == Durable::kNow ? 2 : 1);
    ASSERT_TRUE(transaction.Execute("INSERT INTO t (a) VALUES (NULL)").ok());
    ASSERT_TRUE(transaction.Commit().ok());
  }
  ASSERT_TRUE(db.Execute("INSERT INTO t (a) VALUES (9)", {}, Durable::kWithNext).ok());
  EXPECT_EQ(db.Query("PRAGMA synchronous").value()[0].Int(0).value(), 1);
  ASSERT_TRUE(db.Execute("INSERT INTO t (a) VALUES (10)").ok());
  EXPECT_EQ(db.Query("PRAGMA synchronous").value()[0].Int(0).value(), 2);
  EXPECT_EQ(Open().Query("SELECT a FROM t").value().size(), 6u);
}

TEST_F(DatabaseTest, AssigningOverAnOpenTransactionRollsItBack) {
  Database a = Open();
  Database b = Database::Open(dir_.path() / "b.db").value();
  for (Database* db : {&a, &b}) ASSERT_TRUE(db->Execute("CREATE TABLE t (a)").ok());
  Transaction transaction = a.Begin().value();
  ASSERT_TRUE(transaction.Execute("INSERT INTO t VALUES (1)").ok());
  transaction = b.Begin().value();
  EXPECT_EQ(a.Query("SELECT * FROM t").value().size(), 0u);
}

TEST_F(DatabaseTest, AThreadCannotStepAroundItsOwnTransaction) {
  Database db = Open();
  Transaction transaction = db.Begin().value();
  EXPECT_EQ(CodeOf(db.Execute("CREATE TABLE t (a)")), StatusCode::kFailedPrecondition);
  EXPECT_EQ(db.Query("SELECT 1").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(db.Begin().status().code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(transaction.Commit().ok());
  EXPECT_TRUE(db.Query("SELECT 1").ok());
}

TEST_F(DatabaseTest, ThreadsTakeTurns) {
  Database db = Open();
  ASSERT_TRUE(db.Execute("CREATE TABLE t (n INTEGER NOT NULL)").ok());
  ASSERT_TRUE(db.Execute("INSERT INTO t VALUES (0)").ok());
  std::atomic<int> errors = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        absl::StatusOr<Transaction> transaction = db.Begin();
        if (!transaction.ok()) {
          ++errors;
          continue;
        }
        const int64_t n = transaction->Query("SELECT n FROM t").value()[0].Int(0).value();
        if (!transaction->Execute("UPDATE t SET n = ?", {n + 1}).ok() || !transaction->Commit().ok()) ++errors;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors, 0);
  EXPECT_EQ(db.Query("SELECT n FROM t").value()[0].Int(0).value(), 100);
}

TEST_F(DatabaseTest, WaitingHasAnEnd) {
  DatabaseOptions impatient;
  impatient.busy_timeout = absl::Milliseconds(20);
  Database db = Open(impatient);
  Transaction transaction = db.Begin().value();
  absl::Status same_object, other_object;
  std::thread([&] {
    same_object = db.Begin().status();
    Database other = Open(impatient);
    EXPECT_TRUE(other.Query("SELECT 1").ok());  // readers do not wait for a writer
    other_object = other.Begin().status();
  }).join();
  EXPECT_EQ(same_object.code(), StatusCode::kUnavailable);
  EXPECT_EQ(other_object.code(), StatusCode::kUnavailable);
  ASSERT_TRUE(transaction.Commit().ok());
}

TEST_F(DatabaseTest, OddPathsAndFiles) {
  for (const char* name : {"with space.db", "two  spaces.db", "a=b c=d.db", "\xe8\x82\xba.db"}) {
    absl::StatusOr<Database> db = Database::Open(dir_.path() / name);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    ASSERT_TRUE(db->Execute("CREATE TABLE t (a)").ok());
    EXPECT_TRUE(std::filesystem::exists(dir_.path() / name));
    struct stat info {};
    ASSERT_EQ(stat((dir_.path() / name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
  }
  EXPECT_EQ(Database::Open(dir_.path() / "a\"b").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Database::Open(dir_.path() / "none" / "a.db").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Database::Open(dir_.path()).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(DatabaseTest, DamagedFilesAreDataLossAndNamed) {
  const auto path = dir_.path() / "a.db";
  ASSERT_TRUE(WriteFileAtomically(path, Bytes(8192, 'x')).ok());
  const absl::Status status = Database::Open(path).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("a.db"));

  const auto torn = dir_.path() / "torn.db";
  {
    Database db = Database::Open(torn).value();
    ASSERT_TRUE(db.Execute("CREATE TABLE t (a TEXT NOT NULL)").ok());
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(db.Execute("INSERT INTO t VALUES (?)", {std::string(1000, 'a')}).ok());
    }
  }
  Bytes bytes = ReadFile(torn).value();
  for (size_t i = 8192; i < bytes.size(); ++i) bytes[i] = '\x5a';
  ASSERT_TRUE(WriteFileAtomically(torn, bytes).ok());
  absl::StatusOr<Database> db = Database::Open(torn);
  ASSERT_TRUE(db.ok());
  EXPECT_EQ(db->Query("SELECT a FROM t").status().code(), StatusCode::kDataLoss);
}

// ---- Migrations

const std::vector<Migration> kOne = {{"jobs", "CREATE TABLE jobs (id TEXT PRIMARY KEY); CREATE TABLE x (a);"}};
const std::vector<Migration> kTwo = {kOne[0], {"rounds", R"(
    -- a comment; with a semicolon
    CREATE TABLE rounds (id INTEGER PRIMARY KEY, note TEXT NOT NULL DEFAULT 'a;b');
    CREATE TRIGGER t AFTER INSERT ON rounds BEGIN
      INSERT INTO x VALUES (1); INSERT INTO x VALUES (2);
    END;
    INSERT INTO jobs VALUES ('old')
  )"}};

TEST_F(DatabaseTest, MigrationsApplyOnceEach) {
  {
    Database db = Open();
    ASSERT_TRUE(db.Migrate("site", kOne).ok());
    ASSERT_TRUE(db.Migrate("site", kOne).ok());
    ASSERT_TRUE(db.Migrate("audit", {{"jobs", "CREATE TABLE other (a);"}}).ok());
  }
  Database db = Open();
  ASSERT_TRUE(db.Migrate("site", kTwo).ok());
  ASSERT_TRUE(db.Migrate("site", kTwo).ok());
  ASSERT_TRUE(db.Execute("INSERT INTO rounds (id) VALUES (1)").ok());
  EXPECT_EQ(db.Query("SELECT a FROM x").value().size(), 2u);
  EXPECT_EQ(db.Query("SELECT id FROM jobs").value().size(), 1u);
  EXPECT_TRUE(db.Migrate("nothing", {}).ok());
}

TEST_F(DatabaseTest, ANewerSchemaIsRefusedAndLeftAlone) {
  Database db = Open();
  ASSERT_TRUE(db.Migrate("site", kTwo).ok());
  const absl::Status status = db.Migrate("site", kOne);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("schema of site is version 2, this program knows 1: install the newer program"));
  EXPECT_TRUE(db.Query("SELECT id FROM rounds").ok());
}

TEST_F(DatabaseTest, AnotherHistoryIsRefused) {
  Database db = Open();
  ASSERT_TRUE(db.Migrate("site", kOne).ok());
  EXPECT_EQ(db.Migrate("site", {{"others", "CREATE TABLE o (a);"}}).code(), StatusCode::kFailedPrecondition);
}

TEST_F(DatabaseTest, AFailingStepLeavesNothingBehind) {
  Database db = Open();
  for (const char* bad :
       {"CREATE TABLE a (x); CREATE TABLE a (x);", "CREATE TABLE a (x); INSERT INTO a VALUES ('open"}) {
    EXPECT_EQ(db.Migrate("site", {kOne[0], {"bad", bad}}).code(), StatusCode::kInternal);
    EXPECT_FALSE(db.Query("SELECT * FROM a").ok());
    EXPECT_TRUE(db.Query("SELECT * FROM jobs").ok());  // the step before it stays
  }
  EXPECT_TRUE(db.Migrate("site", kTwo).ok());
}

}  // namespace
}  // namespace cloister::storage
