#pragma once
// SPDX-License-Identifier: Apache-2.0
// Who shares masks and shares with whom: everybody with everybody, or each with k neighbours on a ring in random order
// (Bell et al. 2020). How large k has to be is in graph_parameters.h, where the seed comes from in graph_seed.h.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "protocols/base/bytes.h"

namespace cloister::secagg {

// A graph on 0 to n - 1: the plan's participants by site id, not the roster. The coordinator decides who is in the
// roster; could it move the others on the ring by leaving some out, it would choose, from all possible rosters, the one
// that surrounds a site with colluders. Whoever is not in the roster has dropped out, and its place stays empty.
//
// Neighbourhoods contain their owner and are symmetric: v is in u's exactly when u is in v's. Memory is O(n):
// neighbourhoods are computed when asked for. Sites are below n: anything else is our own bug.
class Graph {
 public:
  // Everybody with everybody: up to kFullGraphSites participants, and possible up to kMostOnFullGraph.
  // INVALID_ARGUMENT: not kCohortFloor to kMostOnFullGraph.
  static absl::StatusOr<Graph> Full(size_t n);
  // The participants on a ring in the random order that `seed` gives, each with the k/2 next on either side.
  // INVALID_ARGUMENT: fewer than kCohortFloor sites or more than a million, k odd, 0, or not below n.
  static absl::StatusOr<Graph> PermutedHarary(size_t n, size_t k, const Digest& seed);

  size_t size() const { return size_; }
  // Of every site, itself not counted.
  size_t degree() const { return degree_; }

  // Who holds shares of u, u itself among them, in rising order: degree() + 1 sites.
  std::vector<size_t> Neighbourhood(size_t u) const;
  // The x at which `holder` gets its shares of `owner`: its place in the owner's neighbourhood, from 1. None: no
  // neighbour.
  std::optional<uint32_t> PositionOf(size_t owner, size_t holder) const;
  // How many of u's neighbourhood are `marked`, which has an entry for every site.
  size_t CountNeighbourhood(size_t u, const std::vector<bool>& marked) const;

 private:
  Graph(size_t n, size_t degree) : size_(n), degree_(degree) {}

  size_t size_;
  size_t degree_;
  std::vector<uint32_t> ring_;   // who is at each place; none on a full graph
  std::vector<uint32_t> place_;  // the inverse
};

}  // namespace cloister::secagg
