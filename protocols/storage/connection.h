#pragma once
// SPDX-License-Identifier: Apache-2.0
// One SOCI session, whose exceptions end here, and the turnstile that lets one thread at it at a time. Inside this
// folder only; callers use database.h.

#include <absl/time/time.h>

// Debian builds SOCI with Boost but its -dev package does not bring Boost's headers. Only templates for Boost types
// hang on this, and none is used here.
#include <soci/soci-config.h>
#undef SOCI_HAVE_BOOST
#undef SOCI_HAVE_BOOST_DATE_TIME
#include <soci/soci.h>

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/storage/database.h"
#include "protocols/storage/value.h"

namespace cloister::storage {

class Connection {
 public:
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::filesystem::path& path,
                                                          const DatabaseOptions& options);

  // The right to use the connection, given back on destruction.
  class Turn {
   public:
    explicit Turn(Connection* connection) : connection_(connection) {}
    Turn(Turn&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (connection_ != nullptr) connection_->EndTurn();
    }

   private:
    Connection* connection_;
  };
  // FAILED_PRECONDITION: this thread has it already; UNAVAILABLE: not within the busy timeout.
  absl::StatusOr<Turn> TakeTurn();

  // To be called during a turn. Exactly one statement; as many parameters as it has question marks.
  absl::StatusOr<int64_t> Execute(const std::string& sql, const Parameters& parameters = {});
  absl::StatusOr<std::vector<Row>> Query(const std::string& sql, const Parameters& parameters = {});
  bool InTransaction();
  // For the commits from now on; outside a transaction.
  absl::Status Use(Durable durable);

  const std::filesystem::path& path() const { return path_; }

 private:
  Connection(std::filesystem::path path, const DatabaseOptions& options)
      : path_(std::move(path)), busy_timeout_(options.busy_timeout) {}

  absl::Status Connect();
  absl::Status SetUp();
  void EndTurn();
  // The rows are collected if `rows` is not null.
  absl::StatusOr<int64_t> Run(const std::string& sql, const Parameters& parameters, std::vector<Row>* rows);
  void* handle();  // sqlite3*, or null
  // Calls `f`, which returns a Status and may throw what SOCI throws.
  template <typename F>
  absl::Status Guard(F&& f);

  const std::filesystem::path path_;
  const absl::Duration busy_timeout_;
  soci::session session_;
  Durable durable_ = Durable::kNow;  // as the session is set

  std::mutex mutex_;
  std::condition_variable free_;
  bool taken_ = false;      // guarded by mutex_
  std::thread::id holder_;  // guarded by mutex_; who took it
};

}  // namespace cloister::storage
