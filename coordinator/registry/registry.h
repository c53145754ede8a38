#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the federation has: sites, models with where they come from, and releases with what each site made of them.
// Lives longer than any experiment. Writes take part in the caller's transaction. Codes of every call: as
// storage::Database; DATA_LOSS also for a row that does not parse.

#include <optional>
#include <string>
#include <vector>

#include "protocols/storage/database.h"
#include "protocols/wire/operator_messages.h"

namespace cloister::coordinator {

absl::Status MigrateRegistryTables(storage::Database& database);

// ---- sites ----

// Notes that the site is there; sets first_seen the first time.
absl::Status PutSite(storage::Transaction& transaction, const wire::SiteStatus& site);
absl::StatusOr<std::vector<wire::SiteStatus>> LoadSites(storage::Database& database);  // by id

// ---- models ----

struct ModelRecord {
  JobId job;
  std::string id;  // "round-3"
  uint32_t round = 0;
  Digest digest;  // SHA-256 of the safetensors file
  uint64_t size_bytes = 0;
  std::optional<Digest> parent;  // the global model it was trained from
  std::optional<Digest> result;  // the totals it follows from: plan::SumResult
  uint64_t samples = 0;          // training cases of the survivors
  std::vector<SiteId> sites;     // survivors
  double loss = 0;               // mean over the samples of the last local epoch
  int64_t made_ms = 0;
};
// Replaces one of the same job and id.
absl::Status PutModel(storage::Transaction& transaction, const ModelRecord& model);
absl::StatusOr<std::vector<ModelRecord>> LoadModels(storage::Database& database, const JobId& job);  // by round
absl::StatusOr<std::vector<Digest>> LoadAllModelDigests(storage::Database& database);

// ---- releases ----

absl::Status PutRelease(storage::Transaction& transaction, const wire::ReleaseStatus& release);
// What `site` made of it last. NOT_FOUND: no such release, or it was not offered to this site.
absl::Status SetReleaseState(storage::Transaction& transaction, const ReleaseId& release, const SiteId& site,
                             wire::ReleaseState state, int64_t time_ms);
absl::StatusOr<std::vector<wire::ReleaseStatus>> LoadReleases(storage::Database& database);  // oldest first
// NOT_FOUND.
absl::StatusOr<wire::ReleaseStatus> LoadRelease(storage::Database& database, const ReleaseId& release);

}  // namespace cloister::coordinator
