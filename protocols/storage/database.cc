// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/database.h"

#include <fmt/format.h>

#include "protocols/base/log.h"
#include "protocols/storage/connection.h"
#include "protocols/storage/sqlite.h"

namespace cloister::storage {

struct Transaction::State {
  Connection* connection;
  Connection::Turn turn;
  bool open = true;
  absl::Status ended = absl::FailedPreconditionError("the transaction has ended");
};

Transaction::Transaction(std::unique_ptr<State> state) : state_(std::move(state)) {}
Transaction::Transaction(Transaction&&) noexcept = default;

Transaction& Transaction::operator=(Transaction&& other) noexcept {
  if (this != &other) {
    Rollback();
    state_ = std::move(other.state_);
  }
  return *this;
}

Transaction::~Transaction() {
  Rollback();
}

namespace {

// After some errors (disk full, I/O) SQLite has rolled back by itself; what follows would be kept one by one.
template <typename State, typename Result>
Result Checked(State& state, Result result) {
  if (!result.ok() && !state.connection->InTransaction()) {
    state.open = false;
    state.ended = result.status();
  }
  return result;
}

}  // namespace

absl::StatusOr<int64_t> Transaction::Execute(const std::string& sql, const Parameters& parameters) {
  if (state_ == nullptr) return absl::FailedPreconditionError("the transaction has ended");
  if (!state_->open) return state_->ended;
  return Checked(*state_, state_->connection->Execute(sql, parameters));
}

absl::StatusOr<std::vector<Row>> Transaction::Query(const std::string& sql, const Parameters& parameters) {
  if (state_ == nullptr) return absl::FailedPreconditionError("the transaction has ended");
  if (!state_->open) return state_->ended;
  return Checked(*state_, state_->connection->Query(sql, parameters));
}

absl::Status Transaction::Commit() {
  if (state_ == nullptr) return absl::FailedPreconditionError("the transaction has ended");
  if (!state_->open) {
    const absl::Status ended = state_->ended;
    state_.reset();
    return ended;
  }
  const absl::Status status = state_->connection->Execute("COMMIT").status();
  if (!status.ok()) {
    Rollback();
    return status;
  }
  state_.reset();
  return absl::OkStatus();
}

void Transaction::Rollback() {
  if (state_ == nullptr) return;
  if (state_->open && state_->connection->InTransaction()) {
    const absl::Status status = state_->connection->Execute("ROLLBACK").status();
    if (!status.ok()) Log()->error("cannot roll back: {}", std::string(status.message()));
  }
  state_.reset();
}

Database::Database(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

absl::StatusOr<Database> Database::Open(const std::filesystem::path& path, const DatabaseOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Connection::Open(path, options));
  return Database(std::move(connection));
}

const std::filesystem::path& Database::path() const {
  return connection_->path();
}

absl::StatusOr<int64_t> Database::Execute(const std::string& sql, const Parameters& parameters, Durable durable) {
  CLOISTER_ASSIGN_OR_RETURN(const Connection::Turn turn, connection_->TakeTurn());
  CLOISTER_RETURN_IF_ERROR(connection_->Use(durable));
  return connection_->Execute(sql, parameters);
}

absl::StatusOr<std::vector<Row>> Database::Query(const std::string& sql, const Parameters& parameters) {
  CLOISTER_ASSIGN_OR_RETURN(const Connection::Turn turn, connection_->TakeTurn());
  return connection_->Query(sql, parameters);
}

absl::StatusOr<Transaction> Database::Begin(Durable durable) {
  CLOISTER_ASSIGN_OR_RETURN(Connection::Turn turn, connection_->TakeTurn());
  CLOISTER_RETURN_IF_ERROR(connection_->Use(durable));
  CLOISTER_RETURN_IF_ERROR(connection_->Execute("BEGIN IMMEDIATE").status());
  return Transaction(std::unique_ptr<Transaction::State>(new Transaction::State{connection_.get(), std::move(turn)}));
}

namespace {

// How many migrations of `component` the file has; FAILED_PRECONDITION if they are not these.
absl::StatusOr<size_t> AppliedCount(Transaction& transaction, std::string_view component,
                                    const std::vector<Migration>& migrations) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      transaction.Query("SELECT version, name FROM schema_versions WHERE component = ? ORDER BY version", {component}));
  if (rows.size() > migrations.size()) {
    return absl::FailedPreconditionError(
        fmt::format("schema of {} is version {}, this program knows {}: install the newer program", component,
                    rows.size(), migrations.size()));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t version, rows[i].Unsigned(0));
    CLOISTER_ASSIGN_OR_RETURN(const std::string name, rows[i].Text(1));
    if (version != i + 1 || name != migrations[i].name) {
      return absl::FailedPreconditionError(
          fmt::format("schema of {}: step {} is \"{}\" in the file and \"{}\" in this program: they do not belong "
                      "together",
                      component, version, name, migrations[i].name));
    }
  }
  return rows.size();
}

// Applies the next step. True: there was one.
absl::StatusOr<bool> MigrateOnce(Database& database, std::string_view component,
                                 const std::vector<Migration>& migrations) {
  CLOISTER_ASSIGN_OR_RETURN(Transaction transaction, database.Begin());
  CLOISTER_RETURN_IF_ERROR(transaction
                               .Execute("CREATE TABLE IF NOT EXISTS schema_versions (component TEXT NOT NULL, "
                                        "version INTEGER NOT NULL, name TEXT NOT NULL, "
                                        "PRIMARY KEY (component, version))")
                               .status());
  CLOISTER_ASSIGN_OR_RETURN(const size_t applied, AppliedCount(transaction, component, migrations));
  if (applied == migrations.size()) {
    CLOISTER_RETURN_IF_ERROR(transaction.Commit());
    return false;
  }
  const Migration& next = migrations[applied];
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<std::string> statements, sqlite::Split(next.sql));
  for (const std::string& statement : statements) CLOISTER_RETURN_IF_ERROR(transaction.Execute(statement).status());
  CLOISTER_RETURN_IF_ERROR(transaction
                               .Execute("INSERT INTO schema_versions (component, version, name) VALUES (?, ?, ?)",
                                        {component, applied + 1, next.name})
                               .status());
  CLOISTER_RETURN_IF_ERROR(transaction.Commit());
  return true;
}

}  // namespace

absl::Status Database::Migrate(std::string_view component, const std::vector<Migration>& migrations) {
  for (;;) {
    const absl::StatusOr<bool> more = MigrateOnce(*this, component, migrations);
    if (!more.ok()) return Annotate(more.status(), path().string());
    if (!*more) return absl::OkStatus();
  }
}

}  // namespace cloister::storage
