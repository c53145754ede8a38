// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/bytes.h"

#include <fmt/format.h>

#include <algorithm>

namespace cloister {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <typename T>
void AppendLittleEndian(Bytes& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

template <typename T>
T LoadLittleEndian(ByteView bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

}  // namespace

std::string HexEncode(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (unsigned char byte : bytes) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

absl::StatusOr<Bytes> HexDecode(std::string_view hex) {
  if (hex.size() % 2 != 0) return absl::InvalidArgumentError("hexadecimal text of odd length");
  Bytes bytes;
  bytes.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = HexValue(hex[i]);
    const int low = HexValue(hex[i + 1]);
    if (high < 0 || low < 0) return absl::InvalidArgumentError("not a hexadecimal digit");
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

absl::StatusOr<Digest> Digest::FromBytes(ByteView bytes) {
  if (bytes.size() != kSize) {
    return absl::InvalidArgumentError(fmt::format("a digest has 32 bytes, not {}", bytes.size()));
  }
  Digest digest;
  std::copy(bytes.begin(), bytes.end(), digest.value_.begin());
  return digest;
}

absl::StatusOr<Digest> Digest::FromHex(std::string_view hex) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes bytes, HexDecode(hex));
  return FromBytes(bytes);
}

CanonicalWriter& CanonicalWriter::U8(uint8_t value) {
  bytes_.push_back(static_cast<char>(value));
  return *this;
}

CanonicalWriter& CanonicalWriter::U32(uint32_t value) {
  AppendLittleEndian(bytes_, value);
  return *this;
}

CanonicalWriter& CanonicalWriter::U64(uint64_t value) {
  AppendLittleEndian(bytes_, value);
  return *this;
}

CanonicalWriter& CanonicalWriter::Fixed(ByteView bytes) {
  bytes_.append(bytes);
  return *this;
}

CanonicalWriter& CanonicalWriter::Blob(ByteView bytes) {
  return U64(bytes.size()).Fixed(bytes);
}

absl::StatusOr<ByteView> CanonicalReader::Take(uint64_t size) {
  if (size > rest_.size()) {
    return absl::DataLossError(fmt::format("truncated: {} bytes wanted, {} left", size, rest_.size()));
  }
  const ByteView taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

absl::StatusOr<uint8_t> CanonicalReader::U8() {
  CLOISTER_ASSIGN_OR_RETURN(const ByteView bytes, Take(1));
  return static_cast<uint8_t>(bytes[0]);
}

absl::StatusOr<uint32_t> CanonicalReader::U32() {
  CLOISTER_ASSIGN_OR_RETURN(const ByteView bytes, Take(4));
  return LoadLittleEndian<uint32_t>(bytes);
}

absl::StatusOr<uint64_t> CanonicalReader::U64() {
  CLOISTER_ASSIGN_OR_RETURN(const ByteView bytes, Take(8));
  return LoadLittleEndian<uint64_t>(bytes);
}

absl::StatusOr<Bytes> CanonicalReader::Fixed(size_t size) {
  CLOISTER_ASSIGN_OR_RETURN(const ByteView bytes, Take(size));
  return Bytes(bytes);
}

absl::StatusOr<Bytes> CanonicalReader::Blob() {
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t size, U64());
  CLOISTER_ASSIGN_OR_RETURN(const ByteView bytes, Take(size));
  return Bytes(bytes);
}

absl::StatusOr<Digest> CanonicalReader::TakeDigest() {
  CLOISTER_ASSIGN_OR_RETURN(const ByteView bytes, Take(Digest::kSize));
  return Digest::FromBytes(bytes);
}

absl::Status CanonicalReader::Finish() const {
  if (rest_.empty()) return absl::OkStatus();
  return absl::DataLossError(fmt::format("{} bytes after the end of the message", rest_.size()));
}

}  // namespace cloister
