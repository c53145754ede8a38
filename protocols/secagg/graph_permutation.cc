// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph_permutation.h"

#include <limits>
#include <numeric>
#include <utility>

namespace cloister::secagg {

uint64_t UniformBelow(crypto::SeededStream& stream, uint64_t bound) {
  constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();
  // 2^64 modulo bound: so many of the largest values would make small remainders likelier.
  const uint64_t excess = (kLargest % bound + 1) % bound;
  while (true) {
    const uint64_t drawn = stream.NextU64();
    if (drawn <= kLargest - excess) return drawn % bound;
  }
}

std::vector<uint32_t> RandomPermutation(crypto::SeededStream& stream, uint32_t n) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), uint32_t{0});
  for (uint32_t left = n; left > 1; --left) std::swap(order[left - 1], order[UniformBelow(stream, left)]);
  return order;
}

}  // namespace cloister::secagg
