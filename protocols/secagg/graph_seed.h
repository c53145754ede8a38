#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where the graphs of an experiment come from: every participant commits to 32 random bytes when it accepts the job,
// reveals them once it has seen everybody's commitment, and all of them together are the seed. One honest site is
// enough for a seed that nobody chose. The seed is public, and the coordinator is one of those who know it.

#include <map>
#include <utility>
#include <vector>

#include "protocols/base/ids.h"
#include "protocols/crypto/secret.h"

namespace cloister::secagg {

inline constexpr size_t kGraphRevealBytes = 32;

// The commitments and reveals of one job among a fixed list of participants. Immutable.
class GraphSeedAgreement {
 public:
  // The order of `participants` does not matter. INVALID_ARGUMENT: fewer than kCohortFloor, one of them twice, or a
  // malformed id.
  static absl::StatusOr<GraphSeedAgreement> Create(const JobId& job, std::vector<SiteId> participants);

  // What `site` publishes before it reveals. Bound to the job, the list and the site, so that no commitment can be
  // copied or used again. INVALID_ARGUMENT: no participant, or not 32 bytes.
  absl::StatusOr<Digest> Commit(const SiteId& site, const crypto::SecretBytes& reveal) const;

  // May a participant reveal? Only when all commitments are there: whoever commits later has seen the reveals.
  // FAILED_PRECONDITION: names a site whose commitment is missing. INVALID_ARGUMENT: names one that is no participant.
  absl::Status CheckCommits(const std::map<SiteId, Digest>& commits) const;

  // The experiment's seed. Codes as CheckCommits, INVALID_ARGUMENT: a reveal of somebody who is no participant.
  // ABORTED: names the site whose reveal is missing or not what it committed to. There is no seed without that site,
  // and no other in its place: it could choose between the two.
  absl::StatusOr<Digest> Combine(const std::map<SiteId, Digest>& commits, const std::map<SiteId, Bytes>& reveals) const;

 private:
  GraphSeedAgreement(std::vector<SiteId> participants, const Digest& context)
      : participants_(std::move(participants)), context_(context) {}

  bool IsParticipant(const SiteId& site) const;
  Digest CommitmentTo(const SiteId& site, ByteView reveal) const;

  std::vector<SiteId> participants_;  // sorted
  Digest context_;                    // of the job and the list
};

// The seed of one graph: HKDF-SHA-256 of the experiment's. All sums of a round and attempt have the same graph: each
// further one would be another chance for a graph that suits the coordinator.
Digest RoundGraphSeed(const Digest& experiment_seed, const JobId& job, uint32_t round, uint32_t attempt);

}  // namespace cloister::secagg
