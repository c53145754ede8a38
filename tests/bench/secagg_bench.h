#pragma once
// SPDX-License-Identifier: Apache-2.0
// cloister-bench secagg: what masking, unmasking and a whole pass of a site cost, beside the bound of this machine.

#include <cstdint>

namespace cloister::bench {

struct SecaggOptions {
  uint64_t parameters = 100'000'000;  // of the whole site pass; 8 bytes of memory each
  int repetitions = 5;
};
int RunSecagg(const SecaggOptions& options);

}  // namespace cloister::bench
