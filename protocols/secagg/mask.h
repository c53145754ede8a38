#pragma once
// SPDX-License-Identifier: Apache-2.0
// Masks: AES-128-CTR keystreams read as packed elements of a ring (ring.h) and added to or taken from a vector, all
// streams per 8 KiB block so that the block stays in the nearest cache.

#include <absl/types/span.h>

#include <string>
#include <vector>

#include "protocols/crypto/ctr_stream.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {

struct MaskKey {
  crypto::SecretBytes key_and_nonce;  // 28 bytes
  bool add = true;                    // or subtract
};

// HKDF(ctx2, b_u, "CSA1/self" | u | name).
crypto::SecretBytes SelfMaskKey(const Digest& ctx2, const crypto::SecretBytes& self_mask, const SiteId& site,
                                const std::string& vector_name);
// HKDF(ctx2, X25519 shared secret, "CSA1/mask" | min(u, v) | max(u, v) | name): the same at both ends.
crypto::SecretBytes PairMaskKey(const Digest& ctx2, const crypto::SecretBytes& shared_secret, const SiteId& u,
                                const SiteId& v, const std::string& vector_name);
// Of a pair the higher id adds and the lower subtracts: does `site` add the stream it shares with `other`?
inline bool AddsPairMask(const SiteId& site, const SiteId& other) {
  return other < site;
}

// Several keystreams over one vector, applied together. Move-only, not thread-safe.
class MaskStreams {
 public:
  static MaskStreams Create(const std::vector<MaskKey>& keys, int ring_bits);

  // values[i] += sum of +-stream[offset + i], modulo 2^ring_bits; the type is the one that holds elements of this ring.
  void Apply(uint64_t offset, absl::Span<uint32_t> values);
  void Apply(uint64_t offset, absl::Span<uint64_t> values);
  size_t size() const { return streams_.size(); }

 private:
  struct Signed {
    crypto::CtrStream stream;
    bool add;
  };
  template <typename T>
  void ApplyWhole(uint64_t offset, absl::Span<T> values);
  void Apply16(uint64_t offset, absl::Span<uint32_t> values);
  void Apply24(uint64_t offset, absl::Span<uint32_t> values);

  std::vector<Signed> streams_;
  int ring_bits_ = 32;
};

// INVALID_ARGUMENT: vector `index` does not exist, its elements are not held in `held_bits`, or it has no elements
// [offset, offset + count).
absl::Status CheckRange(const std::vector<VectorSpec>& vectors, size_t index, uint64_t offset, uint64_t count,
                        int held_bits);

}  // namespace cloister::secagg
