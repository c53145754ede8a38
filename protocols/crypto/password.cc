// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/password.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <charconv>
#include <optional>
#include <vector>

#include "protocols/crypto/openssl.h"
#include "protocols/crypto/random.h"

namespace cloister::crypto {
namespace {

constexpr size_t kSaltBytes = 16;
constexpr size_t kHashBytes = 32;
constexpr uint64_t kMaxMemory = uint64_t{256} << 20;

struct Cost {
  int log2_n = 15;
  int r = 8;
  int p = 1;
};

std::optional<Bytes> Scrypt(std::string_view password, ByteView salt, const Cost& cost) {
  Bytes hash(kHashBytes, '\0');
  const int derived = EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const uint8_t*>(salt.data()),
                                     salt.size(), uint64_t{1} << cost.log2_n, cost.r, cost.p, kMaxMemory,
                                     reinterpret_cast<uint8_t*>(hash.data()), hash.size());
  return derived == 1 ? std::optional<Bytes>(hash) : std::nullopt;
}

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t colon = text.find(':');
    parts.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(colon + 1);
  }
}

bool ReadNumber(std::string_view text, int least, int most, int* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && *number >= least && *number <= most;
}

}  // namespace

std::string HashPassword(std::string_view password) {
  const Cost cost;
  const Bytes salt = RandomBytes(kSaltBytes);
  const std::optional<Bytes> hash = Scrypt(password, salt, cost);
  Must(hash.has_value(), "scrypt");
  return fmt::format("scrypt:{}:{}:{}:{}:{}", cost.log2_n, cost.r, cost.p, HexEncode(salt), HexEncode(*hash));
}

bool CheckPassword(std::string_view password, std::string_view hash) {
  const std::vector<std::string_view> parts = Split(hash);
  Cost cost;
  if (parts.size() != 6 || parts[0] != "scrypt" || !ReadNumber(parts[1], 10, 24, &cost.log2_n) ||
      !ReadNumber(parts[2], 1, 64, &cost.r) || !ReadNumber(parts[3], 1, 16, &cost.p)) {
    return false;
  }
  const auto salt = HexDecode(parts[4]);
  const auto expected = HexDecode(parts[5]);
  if (!salt.ok() || !expected.ok() || expected->size() != kHashBytes) {
    return false;
  }
  const std::optional<Bytes> actual = Scrypt(password, *salt, cost);
  return actual && ConstantTimeEqual(*actual, *expected);
}

}  // namespace cloister::crypto
