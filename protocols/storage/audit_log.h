#pragma once
// SPDX-License-Identifier: Apache-2.0
// The audit log as an append-only table in any Database. Several threads and processes may append: each append reads
// the last hash inside its own write transaction. Triggers refuse updates and deletes; the chain shows the rest.

#include <optional>
#include <vector>

#include "protocols/audit/chain.h"
#include "protocols/audit/record.h"
#include "protocols/base/status.h"
#include "protocols/storage/database.h"

namespace cloister::storage {

class AuditLog {
 public:
  // Makes the table if it is not there. `database` must outlive this.
  static absl::StatusOr<AuditLog> Create(Database* database);

  // Durable when it returns. INVALID_ARGUMENT: see audit::CheckEvent; else as Database.
  absl::StatusOr<audit::Record> Append(const audit::Event& event);
  // As part of a larger change: both are kept or neither.
  static absl::StatusOr<audit::Record> Append(Transaction& transaction, const audit::Event& event);

  // Up to `limit` records from `first_sequence` on, in order. DATA_LOSS: a row does not hold a record.
  absl::StatusOr<std::vector<audit::Record>> Read(uint64_t first_sequence, size_t limit) const;
  // The last `limit` records, in order.
  absl::StatusOr<std::vector<audit::Record>> ReadLast(size_t limit) const;
  absl::StatusOr<audit::Head> Head() const;

  // Walks the whole chain in little memory. OK: nullopt if it is whole, else the first break.
  absl::StatusOr<std::optional<audit::Break>> Verify(std::optional<audit::Head> remembered = std::nullopt) const;

 private:
  explicit AuditLog(Database* database) : database_(database) {}
  Database* database_;
};

}  // namespace cloister::storage
