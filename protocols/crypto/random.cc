// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/random.h"

#include <openssl/rand.h>

#include "protocols/crypto/openssl.h"

namespace cloister::crypto {

Bytes RandomBytes(size_t size) {
  Bytes bytes(size, '\0');
  Must(RAND_bytes_ex(nullptr, Uchars(bytes), size, 0) == 1, "RAND_bytes");
  return bytes;
}

SecretBytes RandomSecret(size_t size) {
  SecretBytes secret(size);
  Must(RAND_priv_bytes_ex(nullptr, secret.data(), size, 0) == 1, "RAND_priv_bytes");
  return secret;
}

}  // namespace cloister::crypto
