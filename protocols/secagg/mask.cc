// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/mask.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "protocols/crypto/hkdf.h"
#include "protocols/secagg/ring.h"

namespace cloister::secagg {
namespace {

constexpr size_t kKeyBytes = 16 + crypto::CtrStream::kNonceBytes;
constexpr size_t kBlockBytes = 8 << 10;

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

void MaskStreams::ApplyPacked(uint64_t offset, absl::Span<uint32_t> values) {
  const uint64_t width = ElementBytes(ring_bits_);
  const size_t block_elements = kBlockBytes / width;
  std::array<char, kBlockBytes> keystream;
  for (size_t done = 0; done < values.size(); done += block_elements) {
    const absl::Span<uint32_t> block = values.subspan(done, block_elements);
    for (Signed& mask : streams_) {
      mask.stream.Seek((offset + done) * width);
      mask.stream.Fill(reinterpret_cast<uint8_t*>(keystream.data()), block.size() * width);
      mask.add ? AddPacked(keystream.data(), ring_bits_, block) : SubtractPacked(keystream.data(), ring_bits_, block);
    }
    Reduce(ring_bits_, block);
  }
  crypto::WipeMemory(keystream.data(), keystream.size());
}

void MaskStreams::Apply(uint64_t offset, absl::Span<uint32_t> values) {
  ring_bits_ == 32 ? ApplyWhole(offset, values) : ApplyPacked(offset, values);
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
