// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/check_tag.h"

#include <algorithm>
#include <array>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/hkdf.h"
#include "protocols/secagg/ring.h"
#include "protocols/secagg/shamir.h"

// One loop compiled for several processors, the best one picked at start. Integers only: all give the same bits.
// Sanitizers cannot run before the pick.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLOISTER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLOISTER_CLONES
#endif

namespace cloister::secagg {
namespace {

constexpr size_t kKeyBytes = 16 + crypto::CtrStream::kNonceBytes;
constexpr size_t kBlock = 1024;  // elements whose r stays in the nearest cache
constexpr uint64_t kLow32 = 0xffffffffU;

// Sums of parts below 2^32: of fewer than 2^32 of them.
struct Parts {
  uint64_t ones = 0;     // of (x + half the ring) * r, by weight: 1,
  uint64_t words = 0;    // 2^32,
  uint64_t carries = 0;  // 2^64
  uint64_t r_low = 0;    // of r alone, for taking half the ring * r away again
  uint64_t r_high = 0;
};

CLOISTER_CLONES
void AddProducts(const uint32_t* values, int ring_bits, const uint64_t* r, size_t size, Parts& parts) {
  const uint32_t half = uint32_t{1} << (ring_bits - 1);
  const auto mask = static_cast<uint32_t>(RingMask(ring_bits));
  uint64_t ones = 0;
  uint64_t words = 0;
  uint64_t carries = 0;
  uint64_t r_low = 0;
  uint64_t r_high = 0;
  for (size_t i = 0; i < size; ++i) {
    const uint64_t x = (values[i] + half) & mask;
    const uint64_t low = r[i] & kLow32;
    const uint64_t high = (r[i] & kFieldPrime) >> 32;
    const uint64_t product_low = x * low;
    const uint64_t product_high = x * high;
    ones += product_low & kLow32;
    words += (product_low >> 32) + (product_high & kLow32);
    carries += product_high >> 32;
    r_low += low;
    r_high += high;
  }
  parts.ones += ones;
  parts.words += words;
  parts.carries += carries;
  parts.r_low += r_low;
  parts.r_high += r_high;
}

uint64_t ModuloPrime(uint64_t value) {
  return FieldAdd(value & kFieldPrime, value >> 61);
}

uint64_t ValueOf(const Parts& parts, int ring_bits) {
  const uint64_t half = uint64_t{1} << (ring_bits - 1);
  constexpr uint64_t kTwo32 = uint64_t{1} << 32;
  constexpr uint64_t kTwo64 = 8;  // mod p
  uint64_t value = ModuloPrime(parts.ones);
  value = FieldAdd(value, FieldMul(ModuloPrime(parts.words), kTwo32));
  value = FieldAdd(value, FieldMul(ModuloPrime(parts.carries), kTwo64));
  const uint64_t sum_of_r = FieldAdd(ModuloPrime(parts.r_low), FieldMul(ModuloPrime(parts.r_high), kTwo32));
  return FieldSub(value, FieldMul(sum_of_r, half));
}

}  // namespace

Digest CheckSeedCommitment(const Digest& ctx1, const SiteId& owner, const crypto::SecretBytes& part) {
  return crypto::Sha256(
      CanonicalWriter().Blob("CSA1/check-part").Put(ctx1).Blob(owner.value()).Blob(part.view()).bytes());
}

crypto::SecretBytes CheckSeed(const Digest& ctx2, const std::vector<crypto::SecretBytes>& parts) {
  crypto::SecretBytes joined(kCheckPartBytes * parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    std::copy(parts[i].data(), parts[i].data() + kCheckPartBytes, joined.data() + kCheckPartBytes * i);
  }
  return crypto::Hkdf(ctx2.view(), joined, "CSA1/check-seed", 32);
}

uint64_t TagMask(const crypto::SecretBytes& key_and_nonce) {
  std::array<uint64_t, 2> drawn;
  crypto::CtrStream::Create(key_and_nonce).value().Fill(reinterpret_cast<uint8_t*>(drawn.data()), sizeof(drawn));
  constexpr uint64_t kTwo64 = 8;  // mod p
  const uint64_t mask = FieldAdd(ModuloPrime(drawn[0]), FieldMul(ModuloPrime(drawn[1]), kTwo64));
  crypto::WipeMemory(drawn.data(), sizeof(drawn));
  return mask;
}

CheckTag::CheckTag(const crypto::SecretBytes& seed, const std::vector<VectorSpec>& vectors) {
  for (const VectorSpec& vector : vectors) {
    const Bytes info = CanonicalWriter().Blob("CSA1/check-stream").Blob(vector.name).Take();
    vectors_.push_back({crypto::CtrStream::Create(crypto::Hkdf({}, seed, info, kKeyBytes)).value(), vector.ring_bits});
  }
}

void CheckTag::Add(size_t index, uint64_t offset, absl::Span<const uint32_t> values) {
  std::array<uint64_t, kBlock> r;
  auto& [stream, ring_bits] = vectors_[index];
  stream.Seek(offset * sizeof(uint64_t));
  Parts parts;
  for (size_t done = 0; done < values.size(); done += kBlock) {
    const size_t size = std::min(kBlock, values.size() - done);
    stream.Fill(reinterpret_cast<uint8_t*>(r.data()), size * sizeof(uint64_t));
    AddProducts(values.data() + done, ring_bits, r.data(), size, parts);
  }
  value_ = FieldAdd(value_, ValueOf(parts, ring_bits));
  crypto::WipeMemory(r.data(), sizeof(r));
}

void CheckTag::Add(size_t index, uint64_t offset, absl::Span<const uint64_t> values) {
  std::array<uint64_t, kBlock> r;
  crypto::CtrStream& stream = vectors_[index].stream;
  stream.Seek(offset * sizeof(uint64_t));
  for (size_t done = 0; done < values.size(); done += kBlock) {
    const size_t size = std::min(kBlock, values.size() - done);
    stream.Fill(reinterpret_cast<uint8_t*>(r.data()), size * sizeof(uint64_t));
    for (size_t i = 0; i < size; ++i) {
      const uint64_t x = values[done + i];
      const bool negative = static_cast<int64_t>(x) < 0;
      const uint64_t product = FieldMul(ModuloPrime(r[i] & kFieldPrime), ModuloPrime(negative ? uint64_t{0} - x : x));
      value_ = negative ? FieldSub(value_, product) : FieldAdd(value_, product);
    }
  }
  crypto::WipeMemory(r.data(), sizeof(r));
}

}  // namespace cloister::secagg
