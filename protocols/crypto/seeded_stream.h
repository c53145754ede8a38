#pragma once
// SPDX-License-Identifier: Apache-2.0
// Deterministic bytes from a secret seed, for what must come out the same after a restart: polynomial coefficients,
// stochastic rounding, noise. AES-256-CTR keyed by HKDF(seed, label).

#include "protocols/crypto/ctr_stream.h"

namespace cloister::crypto {

class SeededStream {
 public:
  // One stream per (seed, label). `label` is a canonical encoding of what the bytes are for.
  SeededStream(const SecretBytes& seed, ByteView label);

  // 64 GiB in all: more is our own bug and ends the process.
  void Fill(void* out, size_t size) { stream_.Fill(static_cast<uint8_t*>(out), size); }
  uint64_t NextU64();
  // Uniform in [0, 1) with 53 bits.
  double NextUnit() { return static_cast<double>(NextU64() >> 11) * 0x1p-53; }
  void Seek(uint64_t byte_offset) { stream_.Seek(byte_offset); }
  uint64_t position() const { return stream_.position(); }

 private:
  CtrStream stream_;
};

}  // namespace cloister::crypto
