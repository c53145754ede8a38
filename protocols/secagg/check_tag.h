#pragma once
// SPDX-License-Identifier: Apache-2.0
// Tags by which sites check a published sum. With r drawn from a seed that every site has and the coordinator has not,
// site u adds tau_u = <r, x_u> mod p (p = 2^61 - 1) under masks like any other element; what the coordinator publishes
// as sum A with tag T holds only if T = <r, A>. Another A passes with probability 2^-60.
// Source: docs/secagg.md, "Checking the sum".

#include <absl/types/span.h>

#include <cstdint>
#include <vector>

#include "protocols/crypto/ctr_stream.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {

// In the place of a vector's name in the derivation of masks; no identifier, so no plan can have it.
inline constexpr char kCheckVector[] = "CSA1/check";
inline constexpr size_t kCheckPartBytes = 32;

// What a site needs to check a sum that it took part in.
struct SumCheck {
  Digest ctx2;
  Digest survivors;          // SurvivorDigest of the list that it confirmed
  crypto::SecretBytes seed;  // of r
};

// What an owner says, under its signature, of the part of the seed that it deals.
Digest CheckSeedCommitment(const Digest& ctx1, const SiteId& owner, const crypto::SecretBytes& part);
// HKDF(ctx2, all parts in the order of their owners, "CSA1/check-seed").
crypto::SecretBytes CheckSeed(const Digest& ctx2, const std::vector<crypto::SecretBytes>& parts);

// The mask of a tag: the first 16 bytes of the keystream, mod p.
uint64_t TagMask(const crypto::SecretBytes& key_and_nonce);

// Sums up <r, x>, any chunks in any order, each element once. Move-only, not thread-safe.
class CheckTag {
 public:
  CheckTag(const crypto::SecretBytes& seed, const std::vector<VectorSpec>& vectors);

  // Elements [offset, offset + values.size()) of vector `index`, which the caller has checked to exist. They count as
  // signed, so that a sum that does not overflow has the sum of the tags.
  void Add(size_t index, uint64_t offset, absl::Span<const uint32_t> values);
  void Add(size_t index, uint64_t offset, absl::Span<const uint64_t> values);
  uint64_t value() const { return value_; }

 private:
  struct Randomness {
    crypto::CtrStream stream;  // r, 8 bytes an element
    int ring_bits;
  };
  std::vector<Randomness> vectors_;
  uint64_t value_ = 0;
};

}  // namespace cloister::secagg
