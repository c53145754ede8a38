// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/check_tag.h"

#include <algorithm>
#include <array>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/hkdf.h"
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
constexpr uint32_t kSignBit = 0x80000000U;
constexpr uint64_t kLow32 = 0xffffffffU;

// Sums of parts below 2^32: of fewer than 2^32 of them.
struct Parts {
  uint64_t ones = 0;     // x (x + 2^31) * r, by weight: 1,
  uint64_t words = 0;    // 2^32,
  uint64_t carries = 0;  // 2^64
  uint64_t r_low = 0;    // of r alone, for taking 2^31 * r away again
  uint64_t r_high = 0;
};

CLOISTER_CLONES
void AddProducts(const uint32_t* values, const uint64_t* r, size_t size, Parts& parts) {
  uint64_t ones = 0;
  uint64_t words = 0;
  uint64_t carries = 0;
  uint64_t r_low = 0;
  uint64_t r_high = 0;
  for (size_t i = 0; i < size; ++i) {
    const uint64_t x = values[i] ^ kSignBit;
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

uint64_t Reduce(uint64_t value) {
  return FieldAdd(value & kFieldPrime, value >> 61);
}

uint64_t ValueOf(const Parts& parts) {
  constexpr uint64_t kTwo31 = uint64_t{1} << 31;
  constexpr uint64_t kTwo32 = uint64_t{1} << 32;
  constexpr uint64_t kTwo64 = 8;  // mod p
  uint64_t value = Reduce(parts.ones);
  value = FieldAdd(value, FieldMul(Reduce(parts.words), kTwo32));
  value = FieldAdd(value, FieldMul(Reduce(parts.carries), kTwo64));
  const uint64_t sum_of_r = FieldAdd(Reduce(parts.r_low), FieldMul(Reduce(parts.r_high), kTwo32));
  return FieldSub(value, FieldMul(sum_of_r, kTwo31));
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
  const uint64_t mask = FieldAdd(Reduce(drawn[0]), FieldMul(Reduce(drawn[1]), kTwo64));
  crypto::WipeMemory(drawn.data(), sizeof(drawn));
  return mask;
}

CheckTag::CheckTag(const crypto::SecretBytes& seed, const std::vector<VectorSpec>& vectors) {
  for (const VectorSpec& vector : vectors) {
    const Bytes info = CanonicalWriter().Blob("CSA1/check-stream").Blob(vector.name).Take();
    streams_.push_back(crypto::CtrStream::Create(crypto::Hkdf({}, seed, info, kKeyBytes)).value());
  }
}

void CheckTag::Add(size_t index, uint64_t offset, absl::Span<const uint32_t> values) {
  std::array<uint64_t, kBlock> r;
  crypto::CtrStream& stream = streams_[index];
  stream.Seek(offset * sizeof(uint64_t));
  Parts parts;
  for (size_t done = 0; done < values.size(); done += kBlock) {
    const size_t size = std::min(kBlock, values.size() - done);
    stream.Fill(reinterpret_cast<uint8_t*>(r.data()), size * sizeof(uint64_t));
    AddProducts(values.data() + done, r.data(), size, parts);
  }
  value_ = FieldAdd(value_, ValueOf(parts));
  crypto::WipeMemory(r.data(), sizeof(r));
}

void CheckTag::Add(size_t index, uint64_t offset, absl::Span<const uint64_t> values) {
  crypto::CtrStream& stream = streams_[index];
  stream.Seek(offset * sizeof(uint64_t));
  for (const uint64_t value : values) {
    uint64_t r = 0;
    stream.Fill(reinterpret_cast<uint8_t*>(&r), sizeof(r));
    value_ = FieldAdd(value_, FieldMul(Reduce(r & kFieldPrime), Reduce(value)));
  }
}

}  // namespace cloister::secagg
