// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/sha256_lanes.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/openssl.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define CLOISTER_AVX512 __attribute__((target("avx512f,avx512bw")))
#endif

namespace cloister::crypto {

#if defined(__x86_64__)
namespace {

constexpr size_t kBlock = 64;

constexpr uint32_t kInitial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

constexpr uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The truth tables of vpternlogd: x ^ y ^ z; x ? y : z; the majority.
constexpr int kXor = 0x96;
constexpr int kChoose = 0xca;
constexpr int kMajority = 0xe8;

template <int kA, int kB, int kC>
CLOISTER_AVX512 __m512i RotateXor(__m512i x) {
  return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, kA), _mm512_ror_epi32(x, kB), _mm512_ror_epi32(x, kC), kXor);
}

template <int kA, int kB, int kShift>
CLOISTER_AVX512 __m512i ShiftXor(__m512i x) {
  return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, kA), _mm512_ror_epi32(x, kB), _mm512_srli_epi32(x, kShift),
                                   kXor);
}

// rows[lane] holds a block's words; afterwards rows[word] holds all lanes' word, in host order.
CLOISTER_AVX512 void Transpose(__m512i rows[16]) {
  const __m512i swap = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
  __m512i a[16];
  for (int i = 0; i < 16; ++i) rows[i] = _mm512_shuffle_epi8(rows[i], swap);
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  // rows[4 g + c]: of lanes 4 g to 4 g + 3, the words c, 4 + c, 8 + c and 12 + c, one in each quarter.
  for (int c = 0; c < 4; ++c) {
    a[c] = _mm512_shuffle_i32x4(rows[c], rows[4 + c], 0x88);
    a[4 + c] = _mm512_shuffle_i32x4(rows[c], rows[4 + c], 0xdd);
    a[8 + c] = _mm512_shuffle_i32x4(rows[8 + c], rows[12 + c], 0x88);
    a[12 + c] = _mm512_shuffle_i32x4(rows[8 + c], rows[12 + c], 0xdd);
  }
  for (int c = 0; c < 4; ++c) {
    rows[c] = _mm512_shuffle_i32x4(a[c], a[8 + c], 0x88);
    rows[4 + c] = _mm512_shuffle_i32x4(a[4 + c], a[12 + c], 0x88);
    rows[8 + c] = _mm512_shuffle_i32x4(a[c], a[8 + c], 0xdd);
    rows[12 + c] = _mm512_shuffle_i32x4(a[4 + c], a[12 + c], 0xdd);
  }
}

// One block of every lane: FIPS 180-4, 6.2.2.
CLOISTER_AVX512 void Compress(__m512i state[8], __m512i w[16]) {
  __m512i s[8];
  std::copy(state, state + 8, s);
#pragma GCC unroll 64
  for (int t = 0; t < 64; ++t) {
    if (t >= 16) {
      const __m512i sum = _mm512_add_epi32(w[t & 15], w[(t + 9) & 15]);
      w[t & 15] = _mm512_add_epi32(
          sum, _mm512_add_epi32(ShiftXor<7, 18, 3>(w[(t + 1) & 15]), ShiftXor<17, 19, 10>(w[(t + 14) & 15])));
    }
    __m512i& a = s[(64 - t) & 7];
    __m512i& b = s[(65 - t) & 7];
    __m512i& c = s[(66 - t) & 7];
    __m512i& d = s[(67 - t) & 7];
    __m512i& e = s[(68 - t) & 7];
    __m512i& f = s[(69 - t) & 7];
    __m512i& g = s[(70 - t) & 7];
    __m512i& h = s[(71 - t) & 7];
    const __m512i keyed = _mm512_add_epi32(w[t & 15], _mm512_set1_epi32(static_cast<int>(kRound[t])));
    const __m512i first =
        _mm512_add_epi32(_mm512_add_epi32(h, keyed),
                         _mm512_add_epi32(RotateXor<6, 11, 25>(e), _mm512_ternarylogic_epi32(e, f, g, kChoose)));
    d = _mm512_add_epi32(d, first);
    h = _mm512_add_epi32(first,
                         _mm512_add_epi32(RotateXor<2, 13, 22>(a), _mm512_ternarylogic_epi32(a, b, c, kMajority)));
  }
  for (int i = 0; i < 8; ++i) state[i] = _mm512_add_epi32(state[i], s[i]);
}

// All lanes' next block, from wherever it lies.
CLOISTER_AVX512 void CompressBlocks(__m512i state[8], const std::array<const uint8_t*, kShaLanes>& blocks) {
  __m512i w[16];
  for (size_t lane = 0; lane < kShaLanes; ++lane) w[lane] = _mm512_loadu_si512(blocks[lane]);
  Transpose(w);
  Compress(state, w);
}

CLOISTER_AVX512 void Hash(uint8_t prefix, const std::array<const uint8_t*, kShaLanes>& messages, size_t size,
                          std::array<std::array<uint8_t, 32>, kShaLanes>& digests) {
  __m512i state[8];
  for (int i = 0; i < 8; ++i) state[i] = _mm512_set1_epi32(static_cast<int>(kInitial[i]));
  // The prefix shifts everything by a byte: the first block, and the last one or two, are put together apart.
  std::array<std::array<uint8_t, 2 * kBlock>, kShaLanes> apart;
  std::array<const uint8_t*, kShaLanes> blocks;
  size_t done = 0;  // bytes of each message
  if (size >= kBlock - 1) {
    done = kBlock - 1;
    for (size_t lane = 0; lane < kShaLanes; ++lane) {
      apart[lane][0] = prefix;
      std::memcpy(&apart[lane][1], messages[lane], done);
      blocks[lane] = apart[lane].data();
    }
    CompressBlocks(state, blocks);
    for (; size - done >= kBlock; done += kBlock) {
      for (size_t lane = 0; lane < kShaLanes; ++lane) blocks[lane] = messages[lane] + done;
      CompressBlocks(state, blocks);
    }
  }
  const uint64_t bits = 8 * (uint64_t{size} + 1);
  const size_t left = (done == 0 ? 1 : 0) + size - done;
  const size_t last = left + 9 <= kBlock ? kBlock : 2 * kBlock;
  for (size_t lane = 0; lane < kShaLanes; ++lane) {
    uint8_t* const end = apart[lane].data();
    std::memset(end, 0, 2 * kBlock);
    if (done == 0) end[0] = prefix;
    std::memcpy(end + left - (size - done), messages[lane] + done, size - done);
    end[left] = 0x80;
    for (size_t i = 0; i < 8; ++i) end[last - 1 - i] = static_cast<uint8_t>(bits >> (8 * i));
  }
  for (size_t at = 0; at < last; at += kBlock) {
    for (size_t lane = 0; lane < kShaLanes; ++lane) blocks[lane] = apart[lane].data() + at;
    CompressBlocks(state, blocks);
  }
  alignas(64) uint32_t words[8][kShaLanes];
  for (int i = 0; i < 8; ++i) _mm512_store_si512(words[i], state[i]);
  for (size_t lane = 0; lane < kShaLanes; ++lane) {
    for (size_t i = 0; i < 32; ++i) digests[lane][i] = static_cast<uint8_t>(words[i / 4][lane] >> (24 - 8 * (i % 4)));
  }
}

bool AgreesWithOpenssl() {
  constexpr size_t kMost = 300;
  std::vector<uint8_t> bytes(kShaLanes * kMost);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 31 + (i >> 8));
  std::array<const uint8_t*, kShaLanes> messages;
  for (size_t lane = 0; lane < kShaLanes; ++lane) messages[lane] = bytes.data() + lane * kMost;
  for (size_t size = 0; size <= kMost; ++size) {
    std::array<std::array<uint8_t, 32>, kShaLanes> digests;
    Hash(1, messages, size, digests);
    for (size_t lane = 0; lane < kShaLanes; ++lane) {
      const ByteView message(reinterpret_cast<const char*>(messages[lane]), size);
      const Digest expected = Sha256Stream().Update(ByteView("\x01", 1)).Update(message).Finish();
      if (std::memcmp(expected.view().data(), digests[lane].data(), Digest::kSize) != 0) return false;
    }
  }
  return true;
}

}  // namespace

bool HasShaLanes() {
  static const bool has =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && AgreesWithOpenssl();
  return has;
}

void HashLanes(uint8_t prefix, const std::array<const uint8_t*, kShaLanes>& messages, size_t size,
               std::array<std::array<uint8_t, 32>, kShaLanes>& digests) {
  Hash(prefix, messages, size, digests);
}

#else

bool HasShaLanes() {
  return false;
}

void HashLanes(uint8_t, const std::array<const uint8_t*, kShaLanes>&, size_t,
               std::array<std::array<uint8_t, 32>, kShaLanes>&) {
  OpensslIsBroken("no vector kernel on this processor");
}

#endif

}  // namespace cloister::crypto
