#pragma once
// SPDX-License-Identifier: Apache-2.0
// HKDF-SHA-256 (RFC 5869), extract and expand in one.

#include "protocols/crypto/secret.h"

namespace cloister::crypto {

// `size` bytes, 1 to 8160. `info` is a canonical encoding (CanonicalWriter) so that no two uses can collide.
SecretBytes Hkdf(ByteView salt, const SecretBytes& secret, ByteView info, size_t size);

}  // namespace cloister::crypto
