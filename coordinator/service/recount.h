#pragma once
// SPDX-License-Identifier: Apache-2.0
// Adds a training round's sum up again from what its sites signed: the digests of the masked vectors, and the shares
// that give their masks. Where the published totals come out, the coordinator was honest and a tag that does not fit is
// a site's lie. For a round that was taken back, whose evidence is kept; docs/poisoning.md.

#include <filesystem>
#include <string>

#include "protocols/base/ids.h"
#include "protocols/crypto/certificate.h"
#include "protocols/storage/blob_store.h"
#include "protocols/storage/database.h"

namespace cloister::coordinator {

// Where the evidence lies. Everything pointed to outlives the call.
struct Evidence {
  storage::Database* database = nullptr;
  const storage::BlobStore* blobs = nullptr;
  crypto::Certificate ca;
  std::filesystem::path folder;  // for a file in the making
};

// In words: what was counted, and that it is what was published. NOT_FOUND: no such experiment or round, or its masked
// vectors were not kept because nobody found fault with it. DATA_LOSS: what is there is not what the sites signed, or
// does not give what was published. Also as SumUp.
absl::StatusOr<std::string> RecountRound(const Evidence& evidence, const JobId& job, uint32_t round);

}  // namespace cloister::coordinator
