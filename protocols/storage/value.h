#pragma once
// SPDX-License-Identifier: Apache-2.0
// Values that go into a statement and rows that come out. Text and blobs are std::string, embedded zeros included.

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister::storage {

struct Null {
  friend bool operator==(Null, Null) { return true; }
};

// Binary data as a parameter: db.Execute("INSERT INTO t (b) VALUES (?)", {Blob{bytes}}).
struct Blob {
  Bytes bytes;
  friend bool operator==(const Blob& a, const Blob& b) { return a.bytes == b.bytes; }
};

// NULL, a 64-bit integer, a double, text, or a blob. Converts from what callers hold; a uint64_t must be below 2^63.
class Value {
 public:
  using Variant = std::variant<Null, int64_t, double, std::string, Blob>;

  Value() = default;
  Value(Null) {}
  Value(int value) : variant_(int64_t{value}) {}
  Value(unsigned value) : variant_(int64_t{value}) {}
  Value(long value) : variant_(int64_t{value}) {}
  Value(long long value) : variant_(int64_t{value}) {}
  Value(unsigned long value) : variant_(static_cast<int64_t>(value)) {}
  Value(unsigned long long value) : variant_(static_cast<int64_t>(value)) {}
  // Exactly bool: a stray pointer must not become 1.
  template <typename T, typename = std::enable_if_t<std::is_same_v<T, bool>>>
  Value(T value) : variant_(int64_t{value}) {}
  Value(double value) : variant_(value) {}
  Value(const char* text) : variant_(std::string(text)) {}
  Value(std::string text) : variant_(std::move(text)) {}
  Value(std::string_view text) : variant_(std::string(text)) {}
  Value(Blob blob) : variant_(std::move(blob)) {}
  Value(const Digest& digest) : variant_(Blob{Bytes(digest.view())}) {}

  const Variant& variant() const { return variant_; }
  bool is_null() const { return std::holds_alternative<Null>(variant_); }

 private:
  Variant variant_;
};

using Parameters = std::vector<Value>;

// One row of a result; columns count from 0 in the order of the SELECT. Every accessor returns INTERNAL for a column
// that is not there, and DATA_LOSS for one that holds another type or NULL: the schema says what is where, so anything
// else is a damaged or foreign file.
class Row {
 public:
  explicit Row(std::vector<Value> values) : values_(std::move(values)) {}

  size_t size() const { return values_.size(); }
  bool is_null(size_t column) const { return column < values_.size() && values_[column].is_null(); }

  absl::StatusOr<int64_t> Int(size_t column) const;
  absl::StatusOr<uint64_t> Unsigned(size_t column) const;  // DATA_LOSS: negative
  absl::StatusOr<bool> Bool(size_t column) const;          // DATA_LOSS: neither 0 nor 1
  absl::StatusOr<double> Double(size_t column) const;      // an integer is one too
  absl::StatusOr<std::string> Text(size_t column) const;
  absl::StatusOr<Bytes> Blob(size_t column) const;
  absl::StatusOr<Digest> TakeDigest(size_t column) const;  // a blob of 32 bytes

 private:
  std::vector<Value> values_;
};

}  // namespace cloister::storage
