#pragma once
// SPDX-License-Identifier: Apache-2.0
// A uniform permutation from a deterministic stream: the same at every site and on every machine.

#include <cstdint>
#include <vector>

#include "protocols/crypto/seeded_stream.h"

namespace cloister::secagg {

// Uniform in [0, bound), by rejection: no value is likelier than another. `bound` is at least 1.
uint64_t UniformBelow(crypto::SeededStream& stream, uint64_t bound);

// 0 to n - 1 in one of the n! orders, each as likely (Fisher and Yates).
std::vector<uint32_t> RandomPermutation(crypto::SeededStream& stream, uint32_t n);

}  // namespace cloister::secagg
