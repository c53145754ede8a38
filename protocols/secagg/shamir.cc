// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/shamir.h"

#include <fmt/format.h>

#include <set>

namespace cloister::secagg {
namespace {

__extension__ typedef unsigned __int128 Uint128;

constexpr size_t kLimbBytes = 7;  // 56 bits; the fifth limb carries the last 4 bytes

// a < 2^62 to its residue, without a branch on a.
uint64_t ReduceOnce(uint64_t a) {
  const uint64_t reduced = a - kFieldPrime;
  const uint64_t keep = uint64_t{0} - (reduced >> 63);  // all ones when a < p
  return (a & keep) | (reduced & ~keep);
}

uint64_t LoadLittleEndian(const uint8_t* bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

void StoreLittleEndian(uint64_t value, uint8_t* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
}

size_t BytesOfLimb(size_t limb) {
  return limb + 1 < kShamirLimbs ? kLimbBytes : kShamirSecretBytes - kLimbBytes * (kShamirLimbs - 1);
}

// Uniform in the field: 61 bits, drawn again in the one case in 2^61 that is not an element.
uint64_t DrawElement(crypto::SeededStream& stream) {
  while (true) {
    const uint64_t drawn = stream.NextU64() & kFieldPrime;
    if (drawn != kFieldPrime) return drawn;
  }
}

}  // namespace

uint64_t FieldAdd(uint64_t a, uint64_t b) {
  return ReduceOnce(a + b);
}

uint64_t FieldSub(uint64_t a, uint64_t b) {
  return ReduceOnce(a + kFieldPrime - b);
}

uint64_t FieldMul(uint64_t a, uint64_t b) {
  const Uint128 product = static_cast<Uint128>(a) * b;
  return ReduceOnce((static_cast<uint64_t>(product) & kFieldPrime) + static_cast<uint64_t>(product >> 61));
}

uint64_t FieldInverse(uint64_t a) {
  uint64_t result = 1;  // a^(p-2)
  for (int bit = 60; bit >= 0; --bit) {
    result = FieldMul(result, result);
    if (((kFieldPrime - 2) >> bit & 1) != 0) result = FieldMul(result, a);
  }
  return result;
}

absl::StatusOr<ShamirShare> ShamirShare::FromBytes(ByteView bytes) {
  if (bytes.size() != kShamirShareBytes) {
    return absl::DataLossError(fmt::format("a share has {} bytes, not {}", kShamirShareBytes, bytes.size()));
  }
  ShamirShare share;
  for (size_t i = 0; i < kShamirLimbs; ++i) {
    share.limbs_[i] = LoadLittleEndian(reinterpret_cast<const uint8_t*>(bytes.data()) + 8 * i, 8);
    if (share.limbs_[i] >= kFieldPrime) return absl::DataLossError("a share lies outside its field");
  }
  return share;
}

crypto::SecretBytes ShamirShare::ToBytes() const {
  crypto::SecretBytes bytes(kShamirShareBytes);
  for (size_t i = 0; i < kShamirLimbs; ++i) StoreLittleEndian(limbs_[i], bytes.data() + 8 * i, 8);
  return bytes;
}

absl::StatusOr<std::vector<ShamirShare>> DealShares(const crypto::SecretBytes& secret, int threshold, int n,
                                                    crypto::SeededStream& coefficients) {
  if (secret.size() != kShamirSecretBytes || threshold < 1 || threshold > n) {
    return absl::InvalidArgumentError(
        fmt::format("cannot share {} bytes with threshold {} of {}", secret.size(), threshold, n));
  }
  std::vector<ShamirShare> shares(static_cast<size_t>(n));
  std::vector<uint64_t> polynomial(static_cast<size_t>(threshold));
  for (size_t limb = 0; limb < kShamirLimbs; ++limb) {
    polynomial[0] = LoadLittleEndian(secret.data() + kLimbBytes * limb, BytesOfLimb(limb));
    for (size_t i = 1; i < polynomial.size(); ++i) polynomial[i] = DrawElement(coefficients);
    for (size_t holder = 0; holder < shares.size(); ++holder) {
      uint64_t value = 0;
      for (size_t i = polynomial.size(); i-- > 0;) value = FieldAdd(FieldMul(value, holder + 1), polynomial[i]);
      shares[holder].limbs()[limb] = value;
    }
  }
  crypto::WipeMemory(polynomial.data(), polynomial.size() * sizeof(uint64_t));
  return shares;
}

absl::StatusOr<crypto::SecretBytes> RecoverSecret(const std::vector<std::pair<uint32_t, ShamirShare>>& shares) {
  if (shares.empty()) return absl::InvalidArgumentError("no shares to recover a secret from");
  std::set<uint32_t> positions;
  for (const auto& [x, share] : shares) {
    if (x == 0 || !positions.insert(x).second) {
      return absl::InvalidArgumentError(fmt::format("position {} of a share is zero or given twice", x));
    }
  }
  ShamirShare limbs;  // the polynomials at zero
  for (const auto& [x, share] : shares) {
    uint64_t numerator = 1;
    uint64_t denominator = 1;
    for (const uint32_t other : positions) {
      if (other == x) continue;
      numerator = FieldMul(numerator, other);
      denominator = FieldMul(denominator, FieldSub(other, x));
    }
    const uint64_t weight = FieldMul(numerator, FieldInverse(denominator));
    for (size_t i = 0; i < kShamirLimbs; ++i) {
      limbs.limbs()[i] = FieldAdd(limbs.limbs()[i], FieldMul(weight, share.limbs()[i]));
    }
  }
  crypto::SecretBytes secret(kShamirSecretBytes);
  uint64_t excess = 0;
  for (size_t i = 0; i < kShamirLimbs; ++i) {
    excess |= limbs.limbs()[i] >> (8 * BytesOfLimb(i));
    StoreLittleEndian(limbs.limbs()[i], secret.data() + kLimbBytes * i, BytesOfLimb(i));
  }
  if (excess != 0) return absl::DataLossError("shares that do not belong together");
  return secret;
}

}  // namespace cloister::secagg
