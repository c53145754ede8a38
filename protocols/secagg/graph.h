#pragma once
// SPDX-License-Identifier: Apache-2.0
// Who shares masks and shares with whom. Today everybody with everybody; a sparse graph (Bell 2020) for hundreds of
// sites is another body of this one function.

#include <cstddef>
#include <vector>

namespace cloister::secagg {

// The members of a roster of `n` that hold shares of member `u`, u itself among them, in rising order. Symmetric: v is
// in u's neighbourhood exactly when u is in v's. The share of the member at position i is the polynomials' value at i
// + 1.
inline std::vector<size_t> Neighbourhood(size_t n, size_t u) {
  static_cast<void>(u);
  std::vector<size_t> members(n);
  for (size_t i = 0; i < n; ++i) members[i] = i;
  return members;
}

}  // namespace cloister::secagg
