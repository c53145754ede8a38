#pragma once
// SPDX-License-Identifier: Apache-2.0
// For hash.cc and its tests: SHA-256 of sixteen messages of one length at once by AVX-512, one message in each lane of
// a register. Several times as fast as one message after the other, with or without the processor's SHA instructions.

#include <array>
#include <cstddef>
#include <cstdint>

namespace cloister::crypto {

constexpr size_t kShaLanes = 16;

// Has this processor what the function below needs, and did it agree with OpenSSL? Asked once.
bool HasShaLanes();

// digests[i] = SHA-256(prefix | the `size` bytes at messages[i]).
void HashLanes(uint8_t prefix, const std::array<const uint8_t*, kShaLanes>& messages, size_t size,
               std::array<std::array<uint8_t, 32>, kShaLanes>& digests);

}  // namespace cloister::crypto
