// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/ctr_kernel.h"

#include <algorithm>
#include <vector>

#include "protocols/crypto/openssl.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define CLOISTER_VAES __attribute__((target("aes,avx512f,avx512bw,avx512vl,avx512dq,vaes")))
#endif

namespace cloister::crypto {

#if defined(__x86_64__)
namespace {

constexpr size_t kBlock = 16;
constexpr size_t kBlocksPerRegister = 4;
constexpr size_t kRegisters = 8;

// ---- the key schedule of FIPS 197 ----

// `previous` with each word XORed onto all words to its right, then XORed with `word` of `assist`.
template <int kWord>
CLOISTER_VAES __m128i NextKey(__m128i previous, __m128i assist) {
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 4));
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 8));
  return _mm_xor_si128(previous, _mm_shuffle_epi32(assist, kWord * 0x55));
}

template <int kRoundConstant>
CLOISTER_VAES void NextKey128(__m128i* keys, int round) {
  keys[round] = NextKey<3>(keys[round - 1], _mm_aeskeygenassist_si128(keys[round - 1], kRoundConstant));
}

template <int kRoundConstant>
CLOISTER_VAES void NextKeys256(__m128i* keys, int round) {
  keys[round] = NextKey<3>(keys[round - 2], _mm_aeskeygenassist_si128(keys[round - 1], kRoundConstant));
  if (round < 14) {
    keys[round + 1] = NextKey<2>(keys[round - 1], _mm_aeskeygenassist_si128(keys[round], 0));
  }
}

CLOISTER_VAES void Expand(const uint8_t* key, size_t key_bytes, CtrSchedule& schedule) {
  auto* keys = reinterpret_cast<__m128i*>(schedule.round_keys.data());
  keys[0] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key));
  if (key_bytes == 16) {
    schedule.rounds = 10;
    NextKey128<0x01>(keys, 1);
    NextKey128<0x02>(keys, 2);
    NextKey128<0x04>(keys, 3);
    NextKey128<0x08>(keys, 4);
    NextKey128<0x10>(keys, 5);
    NextKey128<0x20>(keys, 6);
    NextKey128<0x40>(keys, 7);
    NextKey128<0x80>(keys, 8);
    NextKey128<0x1b>(keys, 9);
    NextKey128<0x36>(keys, 10);
  } else {
    schedule.rounds = 14;
    keys[1] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key + 16));
    NextKeys256<0x01>(keys, 2);
    NextKeys256<0x02>(keys, 4);
    NextKeys256<0x04>(keys, 6);
    NextKeys256<0x08>(keys, 8);
    NextKeys256<0x10>(keys, 10);
    NextKeys256<0x20>(keys, 12);
    NextKeys256<0x40>(keys, 14);
  }
}

// ---- the keystream ----

template <KeystreamUse kUse>
CLOISTER_VAES inline __m512i Combine(__m512i memory, __m512i keystream) {
  if constexpr (kUse == KeystreamUse::kAdd32) return _mm512_add_epi32(memory, keystream);
  if constexpr (kUse == KeystreamUse::kSubtract32) return _mm512_sub_epi32(memory, keystream);
  if constexpr (kUse == KeystreamUse::kAdd64) return _mm512_add_epi64(memory, keystream);
  if constexpr (kUse == KeystreamUse::kSubtract64) return _mm512_sub_epi64(memory, keystream);
  return keystream;
}

template <KeystreamUse kUse, int kRounds>
CLOISTER_VAES void Apply(const CtrSchedule& schedule, uint32_t first_block, uint8_t* memory, size_t blocks) {
  __m512i keys[kRounds + 1];
#pragma GCC unroll 16
  for (int i = 0; i <= kRounds; ++i) {
    keys[i] = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(schedule.round_keys[i].data())));
  }
  // The counter lies in the last word of each 16 bytes: counted little-endian, encrypted big-endian.
  const __m512i big_endian = _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
  const __m512i step = _mm512_broadcast_i32x4(_mm_set_epi32(kBlocksPerRegister, 0, 0, 0));
  alignas(16) std::array<uint8_t, kBlock> zero_counter{};
  std::copy(schedule.nonce.begin(), schedule.nonce.end(), zero_counter.begin());
  __m512i counter = _mm512_add_epi32(
      _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(zero_counter.data()))),
      _mm512_set_epi32(static_cast<int>(first_block + 3), 0, 0, 0, static_cast<int>(first_block + 2), 0, 0, 0,
                       static_cast<int>(first_block + 1), 0, 0, 0, static_cast<int>(first_block), 0, 0, 0));

  constexpr size_t kStride = kRegisters * kBlocksPerRegister;
  for (; blocks >= kStride; blocks -= kStride, memory += kStride * kBlock) {
    __m512i state[kRegisters];
#pragma GCC unroll 8
    for (size_t k = 0; k < kRegisters; ++k) {
      state[k] = _mm512_xor_si512(_mm512_shuffle_epi8(counter, big_endian), keys[0]);
      counter = _mm512_add_epi32(counter, step);
    }
#pragma GCC unroll 16
    for (int round = 1; round < kRounds; ++round) {
#pragma GCC unroll 8
      for (size_t k = 0; k < kRegisters; ++k) state[k] = _mm512_aesenc_epi128(state[k], keys[round]);
    }
#pragma GCC unroll 8
    for (size_t k = 0; k < kRegisters; ++k) {
      uint8_t* const at = memory + k * sizeof(__m512i);
      const __m512i keystream = _mm512_aesenclast_epi128(state[k], keys[kRounds]);
      const __m512i before = kUse == KeystreamUse::kStore ? keystream : _mm512_loadu_si512(at);
      _mm512_storeu_si512(at, Combine<kUse>(before, keystream));
    }
  }
  while (blocks > 0) {
    const size_t now = std::min(blocks, kBlocksPerRegister);
    const auto mask = static_cast<__mmask8>((1U << (2 * now)) - 1);  // two words of 64 bits a block
    __m512i state = _mm512_xor_si512(_mm512_shuffle_epi8(counter, big_endian), keys[0]);
    counter = _mm512_add_epi32(counter, step);
    for (int round = 1; round < kRounds; ++round) state = _mm512_aesenc_epi128(state, keys[round]);
    const __m512i keystream = _mm512_aesenclast_epi128(state, keys[kRounds]);
    _mm512_mask_storeu_epi64(memory, mask, Combine<kUse>(_mm512_maskz_loadu_epi64(mask, memory), keystream));
    memory += now * kBlock;
    blocks -= now;
  }
}

template <int kRounds>
void ApplyUse(const CtrSchedule& schedule, uint32_t first_block, KeystreamUse use, uint8_t* memory, size_t blocks) {
  switch (use) {
    case KeystreamUse::kStore:
      return Apply<KeystreamUse::kStore, kRounds>(schedule, first_block, memory, blocks);
    case KeystreamUse::kAdd32:
      return Apply<KeystreamUse::kAdd32, kRounds>(schedule, first_block, memory, blocks);
    case KeystreamUse::kSubtract32:
      return Apply<KeystreamUse::kSubtract32, kRounds>(schedule, first_block, memory, blocks);
    case KeystreamUse::kAdd64:
      return Apply<KeystreamUse::kAdd64, kRounds>(schedule, first_block, memory, blocks);
    case KeystreamUse::kSubtract64:
      return Apply<KeystreamUse::kSubtract64, kRounds>(schedule, first_block, memory, blocks);
  }
}

// 64 KiB of each key size, in pieces that end in the wide loop and in the narrow one, across a carry into every byte of
// the counter.
bool AgreesWithOpenssl() {
  constexpr size_t kSize = 64 << 10;
  std::array<uint8_t, 44> key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(37 * i + 11);
  for (const size_t key_bytes : {size_t{16}, size_t{32}}) {
    for (const uint32_t first : {0U, 0xfffU, 0x00fffff0U}) {
      std::array<uint8_t, kBlock> iv{};
      std::copy(key.end() - 12, key.end(), iv.begin());
      for (size_t i = 0; i < 4; ++i) iv[15 - i] = static_cast<uint8_t>(first >> (8 * i));
      std::vector<uint8_t> wanted(kSize);
      const CipherContextPtr context(EVP_CIPHER_CTX_new());
      int written = 0;
      Must(context != nullptr &&
               EVP_EncryptInit_ex2(context.get(), key_bytes == 16 ? Aes128Ctr() : Aes256Ctr(), key.data(), iv.data(),
                                   nullptr) == 1 &&
               EVP_EncryptUpdate(context.get(), wanted.data(), &written, wanted.data(), kSize) == 1,
           "EVP_EncryptUpdate");
      CtrSchedule schedule;
      ExpandCtrKey(key.data(), key_bytes, key.data() + key.size() - 12, schedule);
      std::vector<uint8_t> got(kSize);
      for (size_t at = 0, blocks = 1; at < kSize / kBlock;
           at += blocks, blocks = std::min(blocks * 3, kSize / kBlock - at)) {
        ApplyCtrKernel(schedule, first + static_cast<uint32_t>(at), KeystreamUse::kStore, got.data() + at * kBlock,
                       blocks);
      }
      if (got != wanted) return false;
    }
  }
  return true;
}

// Not all compilers' __builtin_cpu_supports knows it.
bool HasVaes() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 1 && (ecx & bit_VAES) != 0;
}

}  // namespace

bool HasCtrKernel() {
  static const bool has = __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq") && HasVaes() && AgreesWithOpenssl();
  return has;
}

void ExpandCtrKey(const uint8_t* key, size_t key_bytes, const uint8_t* nonce, CtrSchedule& schedule) {
  Must(key_bytes == 16 || key_bytes == 32, "an AES key of another size");
  Expand(key, key_bytes, schedule);
  std::copy(nonce, nonce + schedule.nonce.size(), schedule.nonce.begin());
}

void ApplyCtrKernel(const CtrSchedule& schedule, uint32_t first_block, KeystreamUse use, uint8_t* memory,
                    size_t blocks) {
  schedule.rounds == 10 ? ApplyUse<10>(schedule, first_block, use, memory, blocks)
                        : ApplyUse<14>(schedule, first_block, use, memory, blocks);
}

#else

bool HasCtrKernel() {
  return false;
}

void ExpandCtrKey(const uint8_t*, size_t, const uint8_t*, CtrSchedule&) {
  OpensslIsBroken("no vector kernel on this processor");
}

void ApplyCtrKernel(const CtrSchedule&, uint32_t, KeystreamUse, uint8_t*, size_t) {
  OpensslIsBroken("no vector kernel on this processor");
}

#endif

}  // namespace cloister::crypto
