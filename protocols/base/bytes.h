#pragma once
// SPDX-License-Identifier: Apache-2.0
// Bytes, digests, and the canonical encoding of everything that is hashed or signed: fixed order, little endian,
// every variable part behind its length. Not a serialisation format for the wire (that is protocols/wire).

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocols/base/status.h"

namespace cloister {

using Bytes = std::string;          // owned binary data
using ByteView = std::string_view;  // borrowed binary data

// Lower-case hexadecimal.
std::string HexEncode(ByteView bytes);
// INVALID_ARGUMENT: odd length or a character outside [0-9a-fA-F].
absl::StatusOr<Bytes> HexDecode(std::string_view hex);

// A SHA-256 value. Compares, orders and prints (as 64 hex digits); made by crypto::Sha256.
class Digest {
 public:
  static constexpr size_t kSize = 32;

  Digest() { value_.fill(0); }
  // INVALID_ARGUMENT: not 32 bytes.
  static absl::StatusOr<Digest> FromBytes(ByteView bytes);
  // INVALID_ARGUMENT: not 64 hex digits.
  static absl::StatusOr<Digest> FromHex(std::string_view hex);

  ByteView view() const { return {reinterpret_cast<const char*>(value_.data()), kSize}; }
  std::string hex() const { return HexEncode(view()); }
  std::string short_hex() const { return hex().substr(0, 12); }  // for people, never for comparison
  bool is_zero() const { return *this == Digest(); }

  friend bool operator==(const Digest& a, const Digest& b) { return a.value_ == b.value_; }
  friend bool operator!=(const Digest& a, const Digest& b) { return a.value_ != b.value_; }
  friend bool operator<(const Digest& a, const Digest& b) { return a.value_ < b.value_; }

 private:
  std::array<uint8_t, kSize> value_;
};

// Appends to a canonical encoding.
class CanonicalWriter {
 public:
  CanonicalWriter& U8(uint8_t value);
  CanonicalWriter& U32(uint32_t value);
  CanonicalWriter& U64(uint64_t value);
  CanonicalWriter& Fixed(ByteView bytes);  // as they are: the reader knows the length
  CanonicalWriter& Blob(ByteView bytes);   // u64 length, then the bytes
  CanonicalWriter& Put(const Digest& digest) { return Fixed(digest.view()); }

  const Bytes& bytes() const { return bytes_; }
  Bytes Take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

// Reads what CanonicalWriter wrote. Every read returns DATA_LOSS past the end; nothing is allocated beyond the input.
class CanonicalReader {
 public:
  explicit CanonicalReader(ByteView bytes) : rest_(bytes) {}

  absl::StatusOr<uint8_t> U8();
  absl::StatusOr<uint32_t> U32();
  absl::StatusOr<uint64_t> U64();
  absl::StatusOr<Bytes> Fixed(size_t size);
  absl::StatusOr<Bytes> Blob();
  absl::StatusOr<Digest> TakeDigest();

  size_t remaining() const { return rest_.size(); }
  // DATA_LOSS: bytes are left over.
  absl::Status Finish() const;

 private:
  absl::StatusOr<ByteView> Take(uint64_t size);
  ByteView rest_;
};

}  // namespace cloister
