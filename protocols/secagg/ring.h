#pragma once
// SPDX-License-Identifier: Apache-2.0
// Elements of Z_2^w, for w of 16, 24, 32 and 64. As bytes - on the wire, in spools, in results, in keystreams - they
// are packed: w / 8 bytes each, little endian. To be computed with, those of up to 32 bits are uint32_t below 2^w and
// those of 64 bits uint64_t, since no machine adds 24 bits; a block is widened and packed again while it is in the
// nearest cache.

#include <absl/types/span.h>

#include <cstdint>

#include "protocols/base/bytes.h"

namespace cloister::secagg {

inline bool IsRing(int64_t bits) {
  return bits == 16 || bits == 24 || bits == 32 || bits == 64;
}
inline uint64_t ElementBytes(int ring_bits) {
  return static_cast<uint64_t>(ring_bits / 8);
}
// The bits of the type that holds an element in memory: 32 or 64.
inline int HeldBits(int ring_bits) {
  return ring_bits <= 32 ? 32 : 64;
}
// 2^w - 1.
inline uint64_t RingMask(int ring_bits) {
  return ~uint64_t{0} >> (64 - ring_bits);
}

// The elements as bytes: `packed` takes values.size() * ElementBytes(ring_bits) of them. Higher bits are dropped.
void Pack(absl::Span<const uint32_t> values, int ring_bits, char* packed);
void Pack(absl::Span<const uint64_t> values, int ring_bits, char* packed);
// And back. `packed` holds as many elements as `values`.
void Unpack(const char* packed, int ring_bits, absl::Span<uint32_t> values);
void Unpack(const char* packed, int ring_bits, absl::Span<uint64_t> values);

// values[i] gains packed element i, modulo 2^32 or 2^64: whoever adds up elements of a smaller ring reduces them at the
// end.
void AddPacked(const char* packed, int ring_bits, absl::Span<uint32_t> values);
void AddPacked(const char* packed, int ring_bits, absl::Span<uint64_t> values);
// values[i] mod 2^ring_bits.
void Reduce(int ring_bits, absl::Span<uint32_t> values);

// A vector of Z_2^ring_bits that lies somewhere as bytes.
struct RingView {
  int ring_bits = 32;
  ByteView packed;

  uint64_t size() const { return packed.size() / ElementBytes(ring_bits); }
  // Elements [first, first + values.size()), which must be there, as signed numbers.
  void ReadSigned(uint64_t first, absl::Span<int64_t> values) const;
};

}  // namespace cloister::secagg
