#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where the graphs of an experiment come from: every site commits to 32 random bytes in its acceptance of the job and
// reveals them once it has seen the commitments of all participants, and all reveals together are the seed. One honest
// site is enough for a seed that nobody chose. The seed is public, and the coordinator is one of those who know it.
//
// The coordinator chooses the participants from those who have committed, and by that the seed; but before it has seen
// the reveal of a single site that is still to take part, because a site reveals for one list of participants only.

#include <map>
#include <utility>
#include <vector>

#include "protocols/base/ids.h"
#include "protocols/crypto/secret.h"

namespace cloister::secagg {

inline constexpr size_t kGraphRevealBytes = 32;

// What a site reveals in a job: from the job secret, so that a restarted site says the same.
crypto::SecretBytes GraphReveal(const JobId& job, const SiteId& site, const crypto::SecretBytes& job_secret);

// What `site` says of it beforehand. Bound to the job and the site, so that no commitment can be copied or used again.
Digest GraphCommitment(const JobId& job, const SiteId& site, ByteView reveal);

using GraphCommits = std::map<SiteId, Digest>;
using GraphReveals = std::map<SiteId, Bytes>;

// Canonical; what a site keeps, and what it is told. Decoding: DATA_LOSS, INVALID_ARGUMENT (a bad identifier, or not in
// the order of sites).
Bytes EncodeGraphCommits(const GraphCommits& commits);
absl::StatusOr<GraphCommits> DecodeGraphCommits(ByteView bytes);
Bytes EncodeGraphReveals(const GraphReveals& reveals);
absl::StatusOr<GraphReveals> DecodeGraphReveals(ByteView bytes);

// The experiment's seed. INVALID_ARGUMENT: fewer than kCohortFloor participants, a malformed id, or a reveal of
// somebody who has not committed. ABORTED: names the site whose reveal is missing or not what it committed to. There is
// no seed without that site, and no other in its place: it could choose between the two.
absl::StatusOr<Digest> CombineGraphReveals(const JobId& job, const GraphCommits& commits, const GraphReveals& reveals);

// The seed of one graph: HKDF-SHA-256 of the experiment's. All sums of a round and attempt have the same graph: each
// further one would be another chance for a graph that suits the coordinator.
Digest RoundGraphSeed(const Digest& experiment_seed, const JobId& job, uint32_t round, uint32_t attempt);

}  // namespace cloister::secagg
