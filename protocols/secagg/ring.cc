// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/ring.h"

#include <algorithm>
#include <cstring>

// One loop compiled for several processors, the best one picked at start. Integers only: all give the same bits.
// Sanitizers cannot run before the pick.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLOISTER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLOISTER_CLONES
#endif

#if defined(__BYTE_ORDER__)
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements of 16, 32 and 64 bits are read in place");
#endif

namespace cloister::secagg {
namespace {

constexpr size_t kBytes24 = 3;
constexpr uint32_t kMask24 = 0xffffff;

// Empty vectors have no address, which memcpy must not be given.
template <typename T>
void Copy(void* to, const void* from, size_t size) {
  if (size > 0) std::memcpy(to, from, size * sizeof(T));
}

enum class Use { kStore, kAdd };

template <Use kUse, typename T>
[[gnu::always_inline]] inline void Take(T& value, T element) {
  if constexpr (kUse == Use::kStore) value = element;
  if constexpr (kUse == Use::kAdd) value += element;
}

// Elements as wide as `Element`.
template <Use kUse, typename Element, typename T>
[[gnu::always_inline]] inline void TakeAll(const char* packed, T* values, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    Element element;
    std::memcpy(&element, packed + i * sizeof(Element), sizeof(Element));
    Take<kUse, T>(values[i], element);
  }
}

// Four elements are three words.
template <Use kUse>
[[gnu::always_inline]] inline void TakeAll24(const char* packed, uint32_t* values, size_t size) {
  for (size_t i = 0; i + 4 <= size; i += 4) {
    uint32_t word[3];
    std::memcpy(word, packed + i * kBytes24, sizeof(word));
    Take<kUse, uint32_t>(values[i], word[0] & kMask24);
    Take<kUse, uint32_t>(values[i + 1], (word[0] >> 24 | word[1] << 8) & kMask24);
    Take<kUse, uint32_t>(values[i + 2], (word[1] >> 16 | word[2] << 16) & kMask24);
    Take<kUse, uint32_t>(values[i + 3], word[2] >> 8);
  }
  for (size_t i = size / 4 * 4; i < size; ++i) {
    uint32_t element = 0;
    std::memcpy(&element, packed + i * kBytes24, kBytes24);
    Take<kUse, uint32_t>(values[i], element);
  }
}

template <Use kUse>
[[gnu::always_inline]] inline void TakeNarrow(const char* packed, int ring_bits, uint32_t* values, size_t size) {
  switch (ring_bits) {
    case 16:
      return TakeAll<kUse, uint16_t>(packed, values, size);
    case 24:
      return TakeAll24<kUse>(packed, values, size);
    default:
      return TakeAll<kUse, uint32_t>(packed, values, size);
  }
}

CLOISTER_CLONES
void StoreNarrow(const char* packed, int ring_bits, uint32_t* values, size_t size) {
  TakeNarrow<Use::kStore>(packed, ring_bits, values, size);
}
CLOISTER_CLONES
void AddNarrow(const char* packed, int ring_bits, uint32_t* values, size_t size) {
  TakeNarrow<Use::kAdd>(packed, ring_bits, values, size);
}

CLOISTER_CLONES
void PackNarrow(const uint32_t* values, int ring_bits, char* packed, size_t size) {
  if (ring_bits == 16) {
    for (size_t i = 0; i < size; ++i) {
      const auto element = static_cast<uint16_t>(values[i]);
      std::memcpy(packed + i * sizeof(element), &element, sizeof(element));
    }
    return;
  }
  for (size_t i = 0; i + 4 <= size; i += 4) {
    const uint32_t a = values[i] & kMask24;
    const uint32_t b = values[i + 1] & kMask24;
    const uint32_t c = values[i + 2] & kMask24;
    const uint32_t word[3] = {a | b << 24, b >> 8 | c << 16, c >> 16 | values[i + 3] << 8};
    std::memcpy(packed + i * kBytes24, word, sizeof(word));
  }
  for (size_t i = size / 4 * 4; i < size; ++i) std::memcpy(packed + i * kBytes24, &values[i], kBytes24);
}

// The top bit of the ring is the sign.
CLOISTER_CLONES
void ExtendSigns(const uint32_t* values, int ring_bits, int64_t* extended, size_t size) {
  const int shift = 32 - ring_bits;
  for (size_t i = 0; i < size; ++i) extended[i] = static_cast<int32_t>(values[i] << shift) >> shift;
}

}  // namespace

void Pack(absl::Span<const uint32_t> values, int ring_bits, char* packed) {
  if (ring_bits == 32) {
    Copy<uint32_t>(packed, values.data(), values.size());
  } else {
    PackNarrow(values.data(), ring_bits, packed, values.size());
  }
}

void Pack(absl::Span<const uint64_t> values, int, char* packed) {
  Copy<uint64_t>(packed, values.data(), values.size());
}

void Unpack(const char* packed, int ring_bits, absl::Span<uint32_t> values) {
  StoreNarrow(packed, ring_bits, values.data(), values.size());
}

void Unpack(const char* packed, int, absl::Span<uint64_t> values) {
  Copy<uint64_t>(values.data(), packed, values.size());
}

void AddPacked(const char* packed, int ring_bits, absl::Span<uint32_t> values) {
  AddNarrow(packed, ring_bits, values.data(), values.size());
}

void AddPacked(const char* packed, int, absl::Span<uint64_t> values) {
  TakeAll<Use::kAdd, uint64_t>(packed, values.data(), values.size());
}

void Reduce(int ring_bits, absl::Span<uint32_t> values) {
  const auto mask = static_cast<uint32_t>(RingMask(ring_bits));
  for (uint32_t& value : values) value &= mask;
}

void RingView::ReadSigned(uint64_t first, absl::Span<int64_t> values) const {
  const char* from = packed.data() + first * ElementBytes(ring_bits);
  if (ring_bits == 64) {
    Copy<int64_t>(values.data(), from, values.size());
    return;
  }
  constexpr size_t kBlock = 2048;  // elements: stays in the nearest cache
  uint32_t block[kBlock];
  while (!values.empty()) {
    const size_t size = std::min(kBlock, values.size());
    Unpack(from, ring_bits, absl::MakeSpan(block, size));
    ExtendSigns(block, ring_bits, values.data(), size);
    values.remove_prefix(size);
    from += size * ElementBytes(ring_bits);
  }
}

}  // namespace cloister::secagg
