#pragma once
// SPDX-License-Identifier: Apache-2.0
// cloister-bench federation: the real coordinator, a process of its own, with hundreds of light sites: where a round's
// time goes, what the coordinator needs, and that the totals are right.

#include <cstdint>

namespace cloister::bench {

struct FederationOptions {
  int sites = 1000;
  uint64_t parameters = 1'000'000;
  double dropouts = 0.1;
  int rounds = 1;
  int threads = 4;
};
// 0, or 1 with a line on stderr.
int RunFederation(const FederationOptions& options);

}  // namespace cloister::bench
