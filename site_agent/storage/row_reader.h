#pragma once
// SPDX-License-Identifier: Apache-2.0
// Reads the columns of a row one after another and keeps the first error, so that a row becomes a struct in one place.

#include "protocols/storage/value.h"

namespace cloister::site {

class RowReader {
 public:
  explicit RowReader(const storage::Row& row) : row_(row) {}

  int64_t Int() { return Take(row_.Int(column_++)); }
  int Small() { return static_cast<int>(Int()); }
  uint64_t Unsigned() { return Take(row_.Unsigned(column_++)); }
  bool Bool() { return Take(row_.Bool(column_++)); }
  double Real() { return Take(row_.Double(column_++)); }
  std::string Text() { return Take(row_.Text(column_++)); }
  Bytes Blob() { return Take(row_.Blob(column_++)); }
  Digest TakeDigest() { return Take(row_.TakeDigest(column_++)); }
  // True when the next column is NULL, which is then skipped.
  bool SkipNull() {
    if (!row_.is_null(column_)) {
      return false;
    }
    ++column_;
    return true;
  }

  const absl::Status& status() const { return status_; }

 private:
  template <typename T>
  T Take(absl::StatusOr<T> value) {
    if (value.ok()) {
      return *std::move(value);
    }
    if (status_.ok()) {
      status_ = value.status();
    }
    return T();
  }

  const storage::Row& row_;
  size_t column_ = 0;
  absl::Status status_;
};

// All rows through `read`, a function RowReader& -> T.
template <typename T, typename Read>
absl::StatusOr<std::vector<T>> ReadRows(const absl::StatusOr<std::vector<storage::Row>>& rows, const Read& read) {
  CLOISTER_RETURN_IF_ERROR(rows.status());
  std::vector<T> all;
  all.reserve(rows->size());
  for (const storage::Row& row : *rows) {
    RowReader reader(row);
    all.push_back(read(reader));
    CLOISTER_RETURN_IF_ERROR(reader.status());
  }
  return all;
}

// The only row, or NOT_FOUND with `what`.
template <typename T, typename Read>
absl::StatusOr<T> ReadOne(const absl::StatusOr<std::vector<storage::Row>>& rows, const std::string& what,
                          const Read& read) {
  CLOISTER_ASSIGN_OR_RETURN(std::vector<T> all, ReadRows<T>(rows, read));
  if (all.empty()) {
    return absl::NotFoundError(what + " is not known here");
  }
  return std::move(all.front());
}

}  // namespace cloister::site
