#pragma once
// SPDX-License-Identifier: Apache-2.0
// Shamir secret sharing of 32-byte secrets over the field of 2^61 - 1: five limbs of 56 bits, a share is five field
// elements. Arithmetic takes the same time for every value (no tables, no branches on secrets).

#include <array>
#include <utility>
#include <vector>

#include "protocols/crypto/secret.h"
#include "protocols/crypto/seeded_stream.h"

namespace cloister::secagg {

inline constexpr uint64_t kFieldPrime = (uint64_t{1} << 61) - 1;
inline constexpr size_t kShamirLimbs = 5;
inline constexpr size_t kShamirSecretBytes = 32;
inline constexpr size_t kShamirShareBytes = 8 * kShamirLimbs;

// The values of the five polynomials at one x, each below kFieldPrime. Which x is known from its place. Wiped when it
// goes.
class ShamirShare {
 public:
  ShamirShare() { limbs_.fill(0); }
  ~ShamirShare() { crypto::WipeMemory(limbs_.data(), sizeof(limbs_)); }
  ShamirShare(const ShamirShare&) = default;
  ShamirShare& operator=(const ShamirShare&) = default;

  // DATA_LOSS: not 40 bytes, or a limb outside the field.
  static absl::StatusOr<ShamirShare> FromBytes(ByteView bytes);
  crypto::SecretBytes ToBytes() const;

  std::array<uint64_t, kShamirLimbs>& limbs() { return limbs_; }
  const std::array<uint64_t, kShamirLimbs>& limbs() const { return limbs_; }

 private:
  std::array<uint64_t, kShamirLimbs> limbs_;
};

// a, b below kFieldPrime.
uint64_t FieldAdd(uint64_t a, uint64_t b);
uint64_t FieldSub(uint64_t a, uint64_t b);
uint64_t FieldMul(uint64_t a, uint64_t b);
uint64_t FieldInverse(uint64_t a);  // of 0: 0

// Shares at x = 1..n, any `threshold` of which give the secret back and fewer say nothing. Coefficients come from
// `coefficients`, so the same stream deals the same shares. INVALID_ARGUMENT: not 32 bytes, or not 1 <= threshold <= n.
absl::StatusOr<std::vector<ShamirShare>> DealShares(const crypto::SecretBytes& secret, int threshold, int n,
                                                    crypto::SeededStream& coefficients);

// The secret from exactly as many (x, share) pairs as the threshold it was dealt with. INVALID_ARGUMENT: none, an x
// that is 0 or twice there. DATA_LOSS: they do not lie on polynomials with a 32-byte secret.
absl::StatusOr<crypto::SecretBytes> RecoverSecret(const std::vector<std::pair<uint32_t, ShamirShare>>& shares);

}  // namespace cloister::secagg
