#pragma once
// SPDX-License-Identifier: Apache-2.0
// How many neighbours each site of a sparse graph needs, and how many of them recover a secret. Computed by every
// party from what the plan says; the coordinator supplies none of it.

#include <cstdint>

#include "protocols/base/status.h"

namespace cloister::secagg {

struct GraphRequirements {
  int sites = 0;      // n: the participants, 3 to a million
  int colluders = 0;  // c: sites that conspire with the coordinator, whoever they are
  int dropouts = 0;   // d: sites that may fail, at any step, before a sum may be lost with them
  // How many graphs the experiment may draw: every (round, attempt) that a site would accept. The coordinator knows
  // them all beforehand and may wait for, or choose, the one that suits it.
  int64_t graphs = 0;
  double privacy_bits = 64;  // privacy fails in any of the graphs: below 2^-privacy_bits
  // A sum is lost to d random dropouts: below 2^-correctness_bits, each time. It is named and tried again on another
  // graph, so Bell's 20 bits, one sum in a million, are enough.
  double correctness_bits = 20;
};

enum class GraphModel {
  // Cloister's. Shares go to the k neighbours and to the owner itself, and the coordinator, which knows the graph,
  // chooses who drops out, any number. Privacy fails when
  //   - some honest u has X colluding neighbours with 2t <= k + 1 + X: b and the mask key might both be recovered;
  //   - some part of the honest survivors, cut off from the others, could be unmasked alone. On a ring a part is cut
  //     off by k/2 missing places at either end. The site at an end has itself and k/2 holders on its own side, so it
  //     takes t - 1 - k/2 colluders among the missing at that end, and as many at the other.
  // The union over sites, or pairs of ends, has half of the allowed probability each.
  kChosenDropouts,
  // Bell et al. 2020, semi-malicious, as Google's fcp/secagg computes it: shares go to the k neighbours alone, and who
  // drops out has nothing to do with the graph. Privacy fails when 2t <= k + X, or when the honest survivors are not
  // connected. To compare with published values; a coordinator that knows the graph is outside this model.
  kIndependentDropouts,
};

struct GraphParameters {
  int degree = 0;     // k: even, at most n - 2; u itself not counted
  int threshold = 0;  // t: of the neighbourhood, u itself counted under kChosenDropouts
};

// The smallest degree that meets the requirements, with the smallest threshold at that degree. Neither falls when
// colluders, dropouts or bits grow. Tails are exact and hypergeometric; their unions and rounding err towards larger
// values. Takes up to seconds for a million sites, a few milliseconds for a thousand.
// INVALID_ARGUMENT: names the field. FAILED_PRECONDITION: no degree is enough; only a full graph, or fewer colluders
// and dropouts, will do.   Source: Bell et al., "Secure single-server aggregation with (poly)logarithmic overhead",
// CCS 2020, section 3.
absl::StatusOr<GraphParameters> FindGraphParameters(const GraphRequirements& requirements,
                                                    GraphModel model = GraphModel::kChosenDropouts);

}  // namespace cloister::secagg
