#pragma once
// SPDX-License-Identifier: Apache-2.0
// For ctr_stream.cc, its tests and benchmarks: AES-CTR by VAES and AVX-512, four blocks a register and eight registers
// in flight, combined with memory in one pass so that the keystream itself is never stored.

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocols/crypto/secret.h"

namespace cloister::crypto {

enum class KeystreamUse { kStore, kAdd32, kSubtract32, kAdd64, kSubtract64 };

// Of AES-128 (10 rounds) or AES-256 (14). Wiped when it goes.
struct CtrSchedule {
  alignas(16) std::array<std::array<uint8_t, 16>, 15> round_keys{};
  std::array<uint8_t, 12> nonce{};
  int rounds = 0;

  CtrSchedule() = default;
  CtrSchedule(const CtrSchedule&) = delete;
  CtrSchedule& operator=(const CtrSchedule&) = delete;
  ~CtrSchedule() {
    WipeMemory(round_keys.data(), sizeof(round_keys));
    WipeMemory(nonce.data(), nonce.size());
  }
};

// Has this processor what the two functions below need, and did they agree with OpenSSL on 64 KiB? Asked once.
bool HasCtrKernel();

// `key`: 16 or 32 bytes. `nonce`: 12 bytes.
void ExpandCtrKey(const uint8_t* key, size_t key_bytes, const uint8_t* nonce, CtrSchedule& schedule);

// memory[i] becomes, or gains, or loses, keystream block first_block + i/16, as little-endian elements. `memory`:
// blocks * 16 bytes, of any alignment. The caller sees to it that the 32-bit counter does not wrap.
void ApplyCtrKernel(const CtrSchedule& schedule, uint32_t first_block, KeystreamUse use, uint8_t* memory,
                    size_t blocks);

}  // namespace cloister::crypto
