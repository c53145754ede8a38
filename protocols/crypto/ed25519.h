#pragma once
// SPDX-License-Identifier: Apache-2.0
// Ed25519 signatures (RFC 8032, pure). What is signed is always length(domain) | domain | message, so that a signature
// made for one purpose means nothing for another. Parties sign through Signer (signer.h), which adds the certificate.

#include "protocols/crypto/secret.h"

namespace cloister::crypto {

inline constexpr size_t kEd25519SignatureBytes = 64;
inline constexpr size_t kEd25519PublicKeyBytes = 32;

class Ed25519Key {
 public:
  // INVALID_ARGUMENT: a seed that is not 32 bytes.
  static absl::StatusOr<Ed25519Key> FromSeed(SecretBytes seed);
  // PKCS#8 PEM as GenerateSigningKeyPem makes it. INVALID_ARGUMENT: anything else.
  static absl::StatusOr<Ed25519Key> FromPem(const SecretBytes& pem);

  const Bytes& public_key() const { return public_key_; }
  // 64 bytes; the same input gives the same signature. Thread-safe.
  Bytes Sign(ByteView domain, ByteView message) const;
  // The bare RFC 8032 signature, for known-answer tests only: everything else names a domain.
  Bytes SignWithoutDomain(ByteView message) const;

 private:
  SecretBytes seed_;
  Bytes public_key_;
};

// UNAUTHENTICATED: not this key's signature of `message` in `domain`. INVALID_ARGUMENT: not a public key.
absl::Status VerifyEd25519(ByteView public_key, ByteView domain, ByteView message, ByteView signature);
absl::Status VerifyEd25519WithoutDomain(ByteView public_key, ByteView message, ByteView signature);

}  // namespace cloister::crypto
