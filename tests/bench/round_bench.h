#pragma once
// SPDX-License-Identifier: Apache-2.0
// cloister-bench round: the real coordinator and real agents, each a process of its own, with training that does
// nothing; and beside it the same bytes over bare gRPC with mutual TLS.

#include <cstdint>

namespace cloister::bench {

struct RoundOptions {
  int sites = 4;
  uint64_t parameters = 11'200'000;
  int rounds = 4;  // the first one is not counted
};
// 0, or 1 with a line on stderr.
int RunRounds(const RoundOptions& options);

}  // namespace cloister::bench
