// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "protocols/secagg/graph_permutation.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {
namespace {

constexpr size_t kMostSites = 1'000'000;

absl::Status CheckSites(size_t n, size_t most) {
  if (n >= size_t{kCohortFloor} && n <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("a graph of {} sites, not {} to {}", n, kCohortFloor, most));
}

}  // namespace

absl::StatusOr<Graph> Graph::Full(size_t n) {
  CLOISTER_RETURN_IF_ERROR(CheckSites(n, kMostOnFullGraph));
  return Graph(n, n - 1);
}

absl::StatusOr<Graph> Graph::PermutedHarary(size_t n, size_t k, const Digest& seed) {
  CLOISTER_RETURN_IF_ERROR(CheckSites(n, kMostSites));
  if (k == 0 || k % 2 != 0 || k >= n) {
    return absl::InvalidArgumentError(fmt::format("{} neighbours of each of {} sites, not even and below", k, n));
  }
  // n and k are part of the label so that no two graphs of an experiment have anything to do with each other.
  const Bytes label = CanonicalWriter().Blob("CSA1/graph-ring").U64(n).U64(k).Take();
  crypto::SeededStream stream(crypto::SecretBytes::CopyOf(seed.view()), label);
  Graph graph(n, k);
  graph.ring_ = RandomPermutation(stream, static_cast<uint32_t>(n));
  graph.place_.resize(n);
  for (uint32_t place = 0; place < n; ++place) graph.place_[graph.ring_[place]] = place;
  return graph;
}

std::vector<size_t> Graph::Neighbourhood(size_t u) const {
  std::vector<size_t> members(degree_ + 1);
  if (ring_.empty()) {
    std::iota(members.begin(), members.end(), size_t{0});
    return members;
  }
  const size_t first = place_[u] + size_ - degree_ / 2;
  for (size_t i = 0; i <= degree_; ++i) members[i] = ring_[(first + i) % size_];
  std::sort(members.begin(), members.end());
  return members;
}

std::optional<uint32_t> Graph::PositionOf(size_t owner, size_t holder) const {
  const std::vector<size_t> members = Neighbourhood(owner);
  const auto found = std::lower_bound(members.begin(), members.end(), holder);
  if (found == members.end() || *found != holder) return std::nullopt;
  return static_cast<uint32_t>(found - members.begin()) + 1;
}

size_t Graph::CountNeighbourhood(size_t u, const std::vector<bool>& marked) const {
  if (ring_.empty()) return static_cast<size_t>(std::count(marked.begin(), marked.end(), true));
  size_t count = 0;
  const size_t first = place_[u] + size_ - degree_ / 2;
  for (size_t i = 0; i <= degree_; ++i) count += marked[ring_[(first + i) % size_]] ? 1 : 0;
  return count;
}

}  // namespace cloister::secagg
