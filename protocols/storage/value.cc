// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/value.h"

#include <fmt/format.h>

namespace cloister::storage {
namespace {

absl::Status WrongType(size_t column, const char* wanted) {
  return absl::DataLossError(fmt::format("column {} of a row holds no {}", column, wanted));
}

template <typename T>
absl::StatusOr<T> Get(const std::vector<Value>& values, size_t column, const char* wanted) {
  if (column >= values.size()) {
    return absl::InternalError(fmt::format("column {} of a row of {}", column, values.size()));
  }
  const T* value = std::get_if<T>(&values[column].variant());
  if (value == nullptr) return WrongType(column, wanted);
  return *value;
}

}  // namespace

absl::StatusOr<int64_t> Row::Int(size_t column) const {
  return Get<int64_t>(values_, column, "integer");
}

absl::StatusOr<uint64_t> Row::Unsigned(size_t column) const {
  CLOISTER_ASSIGN_OR_RETURN(const int64_t value, Int(column));
  if (value < 0) return WrongType(column, "unsigned integer");
  return static_cast<uint64_t>(value);
}

absl::StatusOr<bool> Row::Bool(size_t column) const {
  CLOISTER_ASSIGN_OR_RETURN(const int64_t value, Int(column));
  if (value != 0 && value != 1) return WrongType(column, "truth value");
  return value == 1;
}

absl::StatusOr<double> Row::Double(size_t column) const {
  if (const absl::StatusOr<int64_t> whole = Int(column); whole.ok()) return static_cast<double>(*whole);
  return Get<double>(values_, column, "number");
}

absl::StatusOr<std::string> Row::Text(size_t column) const {
  return Get<std::string>(values_, column, "text");
}

absl::StatusOr<Bytes> Row::Blob(size_t column) const {
  CLOISTER_ASSIGN_OR_RETURN(storage::Blob blob, Get<storage::Blob>(values_, column, "blob"));
  return std::move(blob.bytes);
}

absl::StatusOr<Digest> Row::TakeDigest(size_t column) const {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes bytes, Blob(column));
  if (bytes.size() != Digest::kSize) return WrongType(column, "digest");
  return Digest::FromBytes(bytes);
}

}  // namespace cloister::storage
