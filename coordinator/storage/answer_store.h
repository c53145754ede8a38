#pragma once
// SPDX-License-Identifier: Apache-2.0
// What sites answered outside secure sums: signed acceptances, sealed baselines, summaries; the gates' results; and
// which blobs were uploaded for what, so that none is left behind. Codes: see experiment_store.h.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "protocols/plan/documents.h"
#include "protocols/plan/sums.h"
#include "protocols/storage/database.h"
#include "protocols/wire/messages.h"

namespace cloister::coordinator {

// Replaces an earlier one.
absl::Status PutAcceptance(storage::Transaction& transaction, const JobId& job, const SiteId& site,
                           const wire::SignedDocument& acceptance);
absl::StatusOr<std::map<SiteId, wire::SignedDocument>> LoadAcceptances(storage::Database& database, const JobId& job);

struct StoredBaseline {
  SiteId site;
  Digest blob;
  uint64_t size_bytes = 0;
  std::map<SiteId, Bytes> keys;  // the content key, sealed for each reader
};
absl::Status PutBaseline(storage::Transaction& transaction, const JobId& job, const StoredBaseline& baseline);
absl::StatusOr<std::map<SiteId, StoredBaseline>> LoadBaselines(storage::Database& database, const JobId& job);

// JSON by model id. A second one of the same site and model replaces the first.
absl::Status PutSummary(storage::Transaction& transaction, const JobId& job, plan::SumKind kind, const SiteId& site,
                        const std::string& model, const std::string& summary);
absl::StatusOr<std::map<SiteId, std::map<std::string, std::string>>> LoadSummaries(storage::Database& database,
                                                                                   const JobId& job,
                                                                                   plan::SumKind kind);

// Replaces all.
absl::Status PutGates(storage::Transaction& transaction, const JobId& job, const std::vector<plan::GateResult>& gates);
absl::StatusOr<std::vector<plan::GateResult>> LoadGates(storage::Database& database, const JobId& job);

struct StoredUpload {
  std::string peer;
  Digest digest;
  wire::BlobPurpose purpose = wire::BlobPurpose::kInitialModel;
  std::string job;  // empty: kInitialModel
  int64_t time_ms = 0;
};
absl::Status NoteUpload(storage::Transaction& transaction, const StoredUpload& upload);
absl::StatusOr<std::vector<StoredUpload>> LoadUploads(storage::Database& database);
absl::Status ForgetUpload(storage::Transaction& transaction, const Digest& digest);

}  // namespace cloister::coordinator
