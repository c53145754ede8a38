// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/seeded_stream.h"

#include "protocols/crypto/hkdf.h"

namespace cloister::crypto {

SeededStream::SeededStream(const SecretBytes& seed, ByteView label)
    : stream_(CtrStream::Create(Hkdf("cloister/seeded-stream/1", seed, label, 32 + CtrStream::kNonceBytes)).value()) {}

uint64_t SeededStream::NextU64() {
  uint8_t bytes[8];
  Fill(bytes, sizeof(bytes));
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

}  // namespace cloister::crypto
