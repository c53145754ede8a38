#pragma once
// SPDX-License-Identifier: Apache-2.0
// AES-256-GCM (SP 800-38D): confidentiality and integrity of `plain`, integrity of `associated`. A (key, nonce) pair is
// for one message only; SealWithRandomNonce looks after that for up to 2^32 messages per key.

#include "protocols/crypto/secret.h"

namespace cloister::crypto {

inline constexpr size_t kAeadKeyBytes = 32;
inline constexpr size_t kAeadNonceBytes = 12;
inline constexpr size_t kAeadTagBytes = 16;

// Ciphertext and tag: size of `plain` + 16. INVALID_ARGUMENT: a key or nonce of another size.
absl::StatusOr<Bytes> Seal(const SecretBytes& key, ByteView nonce, ByteView associated, ByteView plain);

// DATA_LOSS: not what Seal made with this key, nonce and associated data. INVALID_ARGUMENT as above.
absl::StatusOr<SecretBytes> Open(const SecretBytes& key, ByteView nonce, ByteView associated, ByteView sealed);

// The nonce goes in front: size of `plain` + 28. Codes as Seal and Open.
absl::StatusOr<Bytes> SealWithRandomNonce(const SecretBytes& key, ByteView associated, ByteView plain);
absl::StatusOr<SecretBytes> OpenWithNonce(const SecretBytes& key, ByteView associated, ByteView sealed);

}  // namespace cloister::crypto
