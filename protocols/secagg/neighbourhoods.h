#pragma once
// SPDX-License-Identifier: Apache-2.0
// Who in a roster holds shares of whom, at which x, and how many of them recover a secret: everybody of everybody on
// the full graph, the neighbours on a sparse one. Every party computes this itself; no message carries any of it.

#include <optional>
#include <vector>

#include "protocols/secagg/graph.h"
#include "protocols/secagg/graph_parameters.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {

// Degree and threshold of the sparse graph of so many participants, a tenth of whom may drop out before a sum may be
// lost with them; `graphs`: SparseGraph. FAILED_PRECONDITION: no degree is enough. INVALID_ARGUMENT: as
// FindGraphParameters.
absl::StatusOr<GraphParameters> SparseParametersOf(size_t participants, int colluders, int64_t graphs);

// A member of the roster that holds a share of another, and the x of that share.
struct Holder {
  size_t member = 0;
  uint32_t x = 0;
};

class Neighbourhoods {
 public:
  // What goes into ctx1 of a sparse graph.
  struct Terms {
    Digest seed;  // of this round's graph
    GraphParameters parameters;
  };

  // `roster`: by site id. INVALID_ARGUMENT, on a sparse graph: somebody who is no participant. FAILED_PRECONDITION: as
  // SparseParametersOf.
  static absl::StatusOr<Neighbourhoods> Create(const SumParams& params, const std::vector<SiteId>& roster);

  // Of the shares of one owner.
  int threshold() const { return threshold_; }
  // None: the graph is full.
  const std::optional<Terms>& terms() const { return terms_; }

  // In rising order, the owner among them. A neighbour that is not in the roster leaves its x unused.
  std::vector<Holder> HoldersOf(size_t owner) const;

  // Could every one of `owners` be recovered by the members in `present`, which is in rising order? The index of one
  // that could not, and how many of its holders are there.
  struct OutOfReach {
    size_t owner = 0;
    size_t holders = 0;
  };
  std::optional<OutOfReach> FindOutOfReach(const std::vector<size_t>& owners, const std::vector<size_t>& present) const;

 private:
  explicit Neighbourhoods(size_t members) : members_(members) {}

  size_t members_;
  int threshold_ = 0;
  std::optional<Terms> terms_;
  std::optional<Graph> graph_;                    // sparse, of the participants
  std::vector<size_t> place_of_;                  // the participant that each member is
  std::vector<std::optional<size_t>> member_of_;  // and the inverse
};

}  // namespace cloister::secagg
