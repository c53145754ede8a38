// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "protocols/crypto/hkdf.h"
#include "protocols/secagg/ring.h"

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
constexpr size_t kBlockBytes = 8 << 10;

// ---- narrow elements: keystreams are added up as they lie, and widened once a block ----

CLOISTER_CLONES
void AddElements16(const uint16_t* keystream, uint16_t sign, uint16_t* sums, size_t size) {
  for (size_t i = 0; i < size; ++i) sums[i] = static_cast<uint16_t>(sums[i] + sign * keystream[i]);
}

CLOISTER_CLONES
void Widen16(const uint16_t* sums, uint32_t* values, size_t size) {
  for (size_t i = 0; i < size; ++i) values[i] = (values[i] + sums[i]) & 0xffff;
}

// Of 24 bits the bytes are added up one by one, even and odd ones apart, in lanes of 16 bits that hold the sum of so
// many. What is to be subtracted comes inverted: ~x = -x - 1 modulo 2^24.
constexpr size_t kBytesPerLane = 257;
constexpr uint64_t kLanes = 0x00ff00ff00ff00ff;

CLOISTER_CLONES
void AddBytes(const uint64_t* keystream, uint64_t inverted, uint64_t* even, uint64_t* odd, size_t words) {
  for (size_t i = 0; i < words; ++i) {
    const uint64_t word = keystream[i] ^ inverted;
    even[i] += word & kLanes;
    odd[i] += (word >> 8) & kLanes;
  }
}

// Two elements are three bytes of each kind.
void Widen24(const uint16_t* even, const uint16_t* odd, uint32_t subtracted, uint32_t* values, size_t size) {
  constexpr uint32_t kMask = 0xffffff;
  for (size_t i = 0; i < size; i += 2) {
    const size_t at = i / 2 * 3;
    const uint32_t first = even[at] + (uint32_t{odd[at]} << 8) + (uint32_t{even[at + 1]} << 16);
    values[i] = (values[i] + first + subtracted) & kMask;
    if (i + 1 == size) return;
    const uint32_t second = odd[at + 1] + (uint32_t{even[at + 2]} << 8) + (uint32_t{odd[at + 2]} << 16);
    values[i + 1] = (values[i + 1] + second + subtracted) & kMask;
  }
}

}  // namespace

crypto::SecretBytes SelfMaskKey(const Digest& ctx2, const crypto::SecretBytes& self_mask, const SiteId& site,
                                const std::string& vector_name) {
  const Bytes info = CanonicalWriter().Blob("CSA1/self").Blob(site.value()).Blob(vector_name).Take();
  return crypto::Hkdf(ctx2.view(), self_mask, info, kKeyBytes);
}

crypto::SecretBytes PairMaskKey(const Digest& ctx2, const crypto::SecretBytes& shared_secret, const SiteId& u,
                                const SiteId& v, const std::string& vector_name) {
  const Bytes info = CanonicalWriter()
                         .Blob("CSA1/mask")
                         .Blob(std::min(u, v).value())
                         .Blob(std::max(u, v).value())
                         .Blob(vector_name)
                         .Take();
  return crypto::Hkdf(ctx2.view(), shared_secret, info, kKeyBytes);
}

MaskStreams MaskStreams::Create(const std::vector<MaskKey>& keys, int ring_bits) {
  MaskStreams streams;
  streams.ring_bits_ = ring_bits;
  for (const MaskKey& key : keys) {
    // Only a key of the wrong size is refused, and both derivations above make the right one.
    streams.streams_.push_back({crypto::CtrStream::Create(key.key_and_nonce).value(), key.add});
  }
  return streams;
}

template <typename T>
void MaskStreams::ApplyWhole(uint64_t offset, absl::Span<T> values) {
  constexpr size_t kBlockElements = kBlockBytes / sizeof(T);
  for (size_t done = 0; done < values.size(); done += kBlockElements) {
    const absl::Span<T> block = values.subspan(done, kBlockElements);
    for (Signed& mask : streams_) {
      mask.stream.Seek((offset + done) * sizeof(T));
      mask.add ? mask.stream.Add(block) : mask.stream.Subtract(block);
    }
  }
}

void MaskStreams::Apply16(uint64_t offset, absl::Span<uint32_t> values) {
  constexpr size_t kBlockElements = kBlockBytes / sizeof(uint16_t);
  std::array<uint16_t, kBlockElements> keystream;
  std::array<uint16_t, kBlockElements> sums;
  for (size_t done = 0; done < values.size(); done += kBlockElements) {
    const absl::Span<uint32_t> block = values.subspan(done, kBlockElements);
    sums.fill(0);
    for (Signed& mask : streams_) {
      mask.stream.Seek((offset + done) * sizeof(uint16_t));
      mask.stream.Fill(reinterpret_cast<uint8_t*>(keystream.data()), block.size() * sizeof(uint16_t));
      AddElements16(keystream.data(), static_cast<uint16_t>(mask.add ? 1 : -1), sums.data(), block.size());
    }
    Widen16(sums.data(), block.data(), block.size());
  }
  crypto::WipeMemory(keystream.data(), sizeof(keystream));
  crypto::WipeMemory(sums.data(), sizeof(sums));
}

void MaskStreams::Apply24(uint64_t offset, absl::Span<uint32_t> values) {
  constexpr size_t kBlockElements = 2048;  // whole blocks of the cipher, as many as it likes at a time
  constexpr size_t kBlockWords = kBlockElements * 3 / sizeof(uint64_t);
  std::array<uint64_t, kBlockWords> keystream{};
  std::array<uint64_t, kBlockWords> even;
  std::array<uint64_t, kBlockWords> odd;
  std::array<uint16_t, 4 * kBlockWords> even_lanes;
  std::array<uint16_t, 4 * kBlockWords> odd_lanes;
  for (size_t done = 0; done < values.size(); done += kBlockElements) {
    const absl::Span<uint32_t> block = values.subspan(done, kBlockElements);
    for (size_t first = 0; first < streams_.size(); first += kBytesPerLane) {
      even.fill(0);
      odd.fill(0);
      uint32_t subtracted = 0;
      for (Signed& mask : absl::MakeSpan(streams_).subspan(first, kBytesPerLane)) {
        mask.stream.Seek((offset + done) * 3);
        mask.stream.Fill(reinterpret_cast<uint8_t*>(keystream.data()), block.size() * 3);
        AddBytes(keystream.data(), mask.add ? 0 : ~uint64_t{0}, even.data(), odd.data(), kBlockWords);
        subtracted += mask.add ? 0 : 1;
      }
      std::memcpy(even_lanes.data(), even.data(), sizeof(even));
      std::memcpy(odd_lanes.data(), odd.data(), sizeof(odd));
      Widen24(even_lanes.data(), odd_lanes.data(), subtracted, block.data(), block.size());
    }
  }
  crypto::WipeMemory(keystream.data(), sizeof(keystream));
  crypto::WipeMemory(even.data(), sizeof(even));
  crypto::WipeMemory(odd.data(), sizeof(odd));
  crypto::WipeMemory(even_lanes.data(), sizeof(even_lanes));
  crypto::WipeMemory(odd_lanes.data(), sizeof(odd_lanes));
}

void MaskStreams::Apply(uint64_t offset, absl::Span<uint32_t> values) {
  switch (ring_bits_) {
    case 16:
      return Apply16(offset, values);
    case 24:
      return Apply24(offset, values);
    default:
      return ApplyWhole(offset, values);
  }
}

void MaskStreams::Apply(uint64_t offset, absl::Span<uint64_t> values) {
  ApplyWhole(offset, values);
}

absl::Status CheckRange(const std::vector<VectorSpec>& vectors, size_t index, uint64_t offset, uint64_t count,
                        int held_bits) {
  if (index >= vectors.size()) {
    return absl::InvalidArgumentError(fmt::format("vector {} of {}", index, vectors.size()));
  }
  const VectorSpec& vector = vectors[index];
  if (HeldBits(vector.ring_bits) != held_bits) {
    return absl::InvalidArgumentError(fmt::format("vector {} has elements of {} bits; they are not held in {}",
                                                  vector.name, vector.ring_bits, held_bits));
  }
  if (offset > vector.length || count > vector.length - offset) {
    return absl::InvalidArgumentError(fmt::format("elements {} to {} of vector {}, which has {}", offset,
                                                  offset + count, vector.name, vector.length));
  }
  return absl::OkStatus();
}

}  // namespace cloister::secagg
