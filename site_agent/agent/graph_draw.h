#pragma once
// SPDX-License-Identifier: Apache-2.0
// A site's part in the graph seed of a job with many participants (protocols/secagg/graph_seed.h): it reveals once, for
// the one list of participants that it is shown first, and takes no other seed than that list's.

#include <optional>
#include <vector>

#include "protocols/wire/messages.h"
#include "site_agent/agent/accepted_experiment.h"

namespace cloister::site {

// Who masks on a sparse graph, and where it comes from.
struct DrawnGraph {
  std::vector<SiteId> participants;
  Digest seed;
};

// What this site reveals, after it has stored the commitments in the acceptances of all participants: asked again with
// the same ones, the same. UNAUTHENTICATED: an acceptance that is not its site's, or of another plan. INVALID_ARGUMENT:
// a site twice or not invited, or a number of sites that the plan does not have. ABORTED: this site is not among them
// with its commitment, or was shown others before. FAILED_PRECONDITION: no sparse graph of so many is safe enough.
absl::StatusOr<Digest> RevealGraphSeed(const SiteContext& site, const AcceptedExperiment& experiment,
                                       const std::vector<wire::SignedDocument>& acceptances);

// The graph of the job's sums, or nothing when it is full. `reveals`: of everybody, as the first step of a sum brings
// them; empty at later steps. ABORTED: names the site whose reveal is missing or not what it committed to; or reveals
// without commitments, or a seed that is not drawn yet. DATA_LOSS, INVALID_ARGUMENT: malformed.
absl::StatusOr<std::optional<DrawnGraph>> DrawGraph(const SiteContext& site, const JobId& job, const Bytes& reveals);

}  // namespace cloister::site
