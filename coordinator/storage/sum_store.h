#pragma once
// SPDX-License-Identifier: Apache-2.0
// What sites sent in a secure sum, in the order it was taken, so that a restarted coordinator rebuilds the same
// session; and the totals. The masked vectors themselves are blobs, named by digest. Codes: see experiment_store.h.

#include <map>
#include <vector>

#include "coordinator/rounds/events.h"
#include "protocols/storage/database.h"

namespace cloister::coordinator {

struct StoredSumMessage {
  wire::SumPhase phase = wire::SumPhase::kAdvertise;
  SiteId site;
  Bytes message;
  std::vector<Digest> vectors;  // kMask only
};

// `sequence` rises with every message of a sum. ALREADY_EXISTS: this site has sent one of this phase.
absl::Status AppendSumMessage(storage::Transaction& transaction, const JobId& job, const SumKey& sum, uint64_t sequence,
                              const StoredSumMessage& message);
absl::StatusOr<std::vector<StoredSumMessage>> LoadSumMessages(storage::Database& database, const JobId& job,
                                                              const SumKey& sum);

// Only which masked vectors each site has sent, by site: of a thousand sites the messages are large.
absl::StatusOr<std::map<SiteId, std::vector<Digest>>> LoadSumVectors(storage::Database& database, const JobId& job,
                                                                     const SumKey& sum);

// Was exactly this message taken?
absl::StatusOr<bool> HasSumMessage(storage::Database& database, const JobId& job, const SumKey& sum,
                                   const StoredSumMessage& message);

// What a finished sum said: the 64-bit counters and whose they are. Replaces an earlier one.
struct StoredTotal {
  std::vector<uint64_t> counters;
  std::vector<SiteId> survivors;
};
absl::Status PutTotal(storage::Transaction& transaction, const JobId& job, const SumKey& sum, const StoredTotal& total);
// NOT_FOUND: there is none.
absl::StatusOr<StoredTotal> LoadTotal(storage::Database& database, const JobId& job, plan::SumKind kind,
                                      uint32_t round);

}  // namespace cloister::coordinator
