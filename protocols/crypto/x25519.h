#pragma once
// SPDX-License-Identifier: Apache-2.0
// X25519 key agreement (RFC 7748) and, on top of it, sealing bytes to the holder of a public key.

#include "protocols/crypto/secret.h"

namespace cloister::crypto {

inline constexpr size_t kX25519Bytes = 32;

class X25519KeyPair {
 public:
  // INVALID_ARGUMENT: a seed that is not 32 bytes. The seed is the private key (clamped when used).
  static absl::StatusOr<X25519KeyPair> FromSeed(SecretBytes seed);

  const Bytes& public_key() const { return public_key_; }
  const SecretBytes& seed() const { return seed_; }

  // The shared secret; hash it (Hkdf) before use. INVALID_ARGUMENT: not a public key of 32 bytes, or one of low order
  // (the result would be all zero).
  absl::StatusOr<SecretBytes> Derive(ByteView peer_public_key) const;

 private:
  SecretBytes seed_;
  Bytes public_key_;
};

// Only the holder of `recipient_public_key` can open it; who sealed it is not proven: sign the result where that
// matters. Ephemeral X25519, HKDF-SHA-256 over both public keys, AES-256-GCM; size of `plain` + 48. INVALID_ARGUMENT:
// not a usable public key.
absl::StatusOr<Bytes> SealTo(ByteView recipient_public_key, ByteView associated, ByteView plain);

// DATA_LOSS: not sealed to this key, or for other associated data, or damaged.
absl::StatusOr<SecretBytes> OpenSealed(const X25519KeyPair& recipient, ByteView associated, ByteView sealed);

}  // namespace cloister::crypto
