#pragma once
// SPDX-License-Identifier: Apache-2.0
// A database file and its transactions. Only this folder knows which library is behind it; no exception leaves it.
//
//   CLOISTER_ASSIGN_OR_RETURN(Transaction transaction, database.Begin());
//   CLOISTER_RETURN_IF_ERROR(transaction.Execute("UPDATE jobs SET state = ? WHERE job = ?", {"done", job.value()}));
//   return transaction.Commit();   // without it, everything is rolled back
//
// Status codes of every call: ALREADY_EXISTS unique or primary key; FAILED_PRECONDITION another constraint (NOT NULL,
// CHECK, foreign key, a trigger that refused); RESOURCE_EXHAUSTED the disk is full; UNAVAILABLE someone else kept the
// file locked longer than the busy timeout (try again), or an I/O error; PERMISSION_DENIED read-only; DATA_LOSS the
// file is damaged or not a database; INTERNAL the statement is wrong (our bug). Messages never carry parameter values.

#include <absl/time/time.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/storage/value.h"

namespace cloister::storage {

// One step of a schema. A released migration is never edited: append the next.
struct Migration {
  std::string_view name;  // "jobs and rounds"
  std::string_view sql;   // one or more statements, each ended by ';'
};

struct DatabaseOptions {
  // How long a call waits for other threads and processes before it returns UNAVAILABLE.
  absl::Duration busy_timeout = absl::Seconds(10);
};

// When what is committed must be on the disk. A crash of the program never loses a commit, and one of the machine loses
// none that is older than one it keeps. So kWithNext is enough for what nobody acts upon before a later commit.
enum class Durable {
  kNow,       // before the call returns
  kWithNext,  // with the next commit of this Database that is kNow
};

class Connection;  // inside database.cc

// Open for writing (BEGIN IMMEDIATE) from Begin() to Commit() or destruction; other threads and processes wait
// meanwhile, so keep it short and never send or call out in it. Belongs to the thread that began it. Movable. Must
// not outlive its Database.
class Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  ~Transaction();  // rolls back unless committed

  // Runs one statement; returns the number of rows it changed.
  absl::StatusOr<int64_t> Execute(const std::string& sql, const Parameters& parameters = {});
  absl::StatusOr<std::vector<Row>> Query(const std::string& sql, const Parameters& parameters = {});
  // Durable as Begin() was told, when it returns OK. After an error nothing was kept.
  absl::Status Commit();
  void Rollback();

 private:
  friend class Database;
  struct State;
  explicit Transaction(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// One SQLite file in WAL mode with foreign keys on. Thread-safe: calls of several threads take turns. Several processes
// may open the same file. Not to be used across fork().
class Database {
 public:
  // Creates the file (mode 0600) if it is not there; its folder must be. NOT_FOUND: no such folder.
  static absl::StatusOr<Database> Open(const std::filesystem::path& path, const DatabaseOptions& options = {});
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  // Brings the tables of `component` to version migrations.size(), one transaction per step; several components may
  // share a file. FAILED_PRECONDITION: the file is newer than this program ("schema of site is version 7, this program
  // knows 5: install the newer program").
  absl::Status Migrate(std::string_view component, const std::vector<Migration>& migrations);

  // One statement in its own transaction. FAILED_PRECONDITION: this thread has a Transaction open: use that one.
  absl::StatusOr<int64_t> Execute(const std::string& sql, const Parameters& parameters = {},
                                  Durable durable = Durable::kNow);
  absl::StatusOr<std::vector<Row>> Query(const std::string& sql, const Parameters& parameters = {});

  absl::StatusOr<Transaction> Begin(Durable durable = Durable::kNow);

  const std::filesystem::path& path() const;

 private:
  explicit Database(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace cloister::storage
