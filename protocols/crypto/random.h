#pragma once
// SPDX-License-Identifier: Apache-2.0
// Randomness from the operating system through OpenSSL. A machine that cannot give any ends the process: nothing that
// follows would be safe.

#include "protocols/crypto/secret.h"

namespace cloister::crypto {

// Public randomness: nonces, tokens that are shown, serial numbers.
Bytes RandomBytes(size_t size);

// Private randomness, from the generator that is never used for public values.
SecretBytes RandomSecret(size_t size);

}  // namespace cloister::crypto
