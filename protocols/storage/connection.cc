// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <cerrno>
#include <chrono>
#include <deque>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/storage/sqlite.h"

namespace cloister::storage {
namespace {

// Keeps what is bound alive until the statement is done: SOCI holds pointers.
class Binder {
 public:
  Binder(soci::session& session, soci::statement& statement) : session_(session), statement_(statement) {}

  void Bind(const Value& value) { std::visit(*this, value.variant()); }

  void operator()(Null) {
    integers_.push_back(0);
    statement_.exchange(soci::use(integers_.back(), null_));
  }
  void operator()(int64_t value) {
    integers_.push_back(value);
    statement_.exchange(soci::use(integers_.back()));
  }
  void operator()(const double& value) { statement_.exchange(soci::use(value)); }
  void operator()(const std::string& text) { statement_.exchange(soci::use(text)); }
  void operator()(const Blob& blob) {
    blobs_.emplace_back(session_);
    blobs_.back().append(blob.bytes.data(), blob.bytes.size());
    statement_.exchange(soci::use(blobs_.back()));
  }

 private:
  soci::session& session_;
  soci::statement& statement_;
  soci::indicator null_ = soci::i_null;
  std::deque<long long> integers_;
  std::deque<soci::blob> blobs_;
};

// The library does not export the type information of its SQLite classes, which the vptr sanitizer would look up.
#define CLOISTER_NO_VPTR_CHECK __attribute__((no_sanitize("vptr")))

CLOISTER_NO_VPTR_CHECK void* HandleOf(soci::statement& statement) {
  return static_cast<soci::sqlite3_statement_backend*>(statement.get_backend())->stmt_;
}

CLOISTER_NO_VPTR_CHECK void* HandleOf(soci::session& session) {
  auto* backend = static_cast<soci::sqlite3_session_backend*>(session.get_backend());
  return backend == nullptr ? nullptr : backend->conn_;
}

// One statement exactly: SQLite would silently ignore a second one.
absl::Status CheckSingle(const std::string& sql) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<std::string> statements, sqlite::Split(sql));
  if (statements.size() == 1) return absl::OkStatus();
  return absl::InternalError(fmt::format("{} SQL statements where one is expected", statements.size()));
}

}  // namespace

template <typename F>
absl::Status Connection::Guard(F&& f) {
  // get_error_message(), never what(): that one quotes the parameters.
  errno = 0;
  try {
    return f();
  } catch (const soci::sqlite3_soci_error& error) {
    return sqlite::ToStatus(handle(), error.result(), errno, error.get_error_message());
  } catch (const soci::soci_error& error) {
    return absl::InternalError(error.get_error_message());
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory in a database call");
  } catch (const std::exception&) {
    return absl::InternalError("unexpected exception in a database call");
  }
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::filesystem::path& path,
                                                             const DatabaseOptions& options) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return ErrnoStatus(error.value(), "cannot open", path);
  if (absolute.string().find('"') != std::string::npos) {
    return absl::InvalidArgumentError(fmt::format("a database path cannot hold a quote: {}", path.string()));
  }
  {
    // So that it is nobody else's to read, whatever the umask.
    const Descriptor fd(open(absolute.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid()) return ErrnoStatus(errno, "cannot open", absolute);
  }
  std::unique_ptr<Connection> connection(new Connection(absolute, options));
  absl::Status status = connection->Connect();
  if (status.ok()) status = connection->SetUp();
  if (!status.ok()) return Annotate(status, absolute.string());
  return connection;
}

absl::Status Connection::Connect() {
  return Guard([&] {
    session_.open(soci::sqlite3, fmt::format("dbname=\"{}\"", path_.string()));
    sqlite::UseExtendedCodes(handle());
    return absl::OkStatus();
  });
}

absl::Status Connection::SetUp() {
  CLOISTER_RETURN_IF_ERROR(
      Execute(fmt::format("PRAGMA busy_timeout = {}", absl::ToInt64Milliseconds(busy_timeout_))).status());
  // Going over to WAL needs the file alone for a moment and does not wait for it by itself.
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(busy_timeout_);
  absl::StatusOr<std::vector<Row>> mode = Query("PRAGMA journal_mode = WAL");
  while (absl::IsUnavailable(mode.status()) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    mode = Query("PRAGMA journal_mode = WAL");
  }
  CLOISTER_RETURN_IF_ERROR(mode.status());
  if (mode->size() != 1 || (*mode)[0].Text(0).value_or("") != "wal") {
    return absl::FailedPreconditionError("the file system cannot hold a database in WAL mode (a network share?)");
  }
  for (const char* pragma : {"PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF"}) {
    CLOISTER_RETURN_IF_ERROR(Execute(pragma).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<Connection::Turn> Connection::TakeTurn() {
  std::unique_lock lock(mutex_);
  if (taken_ && holder_ == std::this_thread::get_id()) {
    return absl::FailedPreconditionError("this thread has a transaction open on the database: use that one");
  }
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(busy_timeout_);
  if (!free_.wait_until(lock, deadline, [&] { return !taken_; })) {
    return absl::UnavailableError("another thread keeps the database busy: try again");
  }
  taken_ = true;
  holder_ = std::this_thread::get_id();
  return Turn(this);
}

void Connection::EndTurn() {
  {
    std::lock_guard lock(mutex_);
    taken_ = false;
    holder_ = {};
  }
  free_.notify_one();
}

absl::StatusOr<int64_t> Connection::Execute(const std::string& sql, const Parameters& parameters) {
  return Run(sql, parameters, nullptr);
}

absl::StatusOr<std::vector<Row>> Connection::Query(const std::string& sql, const Parameters& parameters) {
  std::vector<Row> rows;
  CLOISTER_RETURN_IF_ERROR(Run(sql, parameters, &rows).status());
  return rows;
}

// SOCI's own rows are not used: they guess types from the declaration of a column (INTEGER as 32 bits), have no blobs,
// and step a statement once just to look at it, which would run an INSERT ... RETURNING twice.
absl::StatusOr<int64_t> Connection::Run(const std::string& sql, const Parameters& parameters, std::vector<Row>* rows) {
  CLOISTER_RETURN_IF_ERROR(CheckSingle(sql));
  int64_t changed = 0;
  CLOISTER_RETURN_IF_ERROR(Guard([&]() -> absl::Status {
    soci::statement statement(session_);
    Binder binder(session_, statement);
    statement.alloc();
    statement.prepare(sql);
    void* const raw = HandleOf(statement);
    if (raw == nullptr) return absl::InternalError("an empty SQL statement");
    if (static_cast<size_t>(sqlite::ParameterCount(raw)) != parameters.size()) {
      return absl::InternalError(
          fmt::format("{} parameters for {} question marks: {}", parameters.size(), sqlite::ParameterCount(raw), sql));
    }
    for (const Value& value : parameters) binder.Bind(value);
    statement.define_and_bind();
    bool on_row = statement.execute(true);
    while (on_row && rows != nullptr) {
      rows->emplace_back(sqlite::ReadRow(raw));
      on_row = statement.get_backend()->fetch(1) == soci::details::statement_backend::ef_success;
    }
    changed = statement.get_affected_rows();
    return absl::OkStatus();
  }));
  return changed;
}

// A FULL commit syncs the whole log, so it takes along what NORMAL ones have left in it.
absl::Status Connection::Use(Durable durable) {
  if (durable == durable_) return absl::OkStatus();
  CLOISTER_RETURN_IF_ERROR(
      Execute(durable == Durable::kNow ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL").status());
  durable_ = durable;
  return absl::OkStatus();
}

bool Connection::InTransaction() {
  return sqlite::InTransaction(handle());
}

void* Connection::handle() {
  return HandleOf(session_);
}

}  // namespace cloister::storage
