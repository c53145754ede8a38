#pragma once
// SPDX-License-Identifier: Apache-2.0
// cloister-bench large: one secure sum of three sites with as many parameters as asked for, in little memory, and a
// blob of more than 4 GiB over gRPC: everything that counts bytes or elements, past 2^32 of them.

#include <cstdint>

namespace cloister::bench {

struct LargeOptions {
  uint64_t parameters = 1'000'000'000;
};
// 0, or 1 with a line on stderr.
int RunLarge(const LargeOptions& options);

}  // namespace cloister::bench
