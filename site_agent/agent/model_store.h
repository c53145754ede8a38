#pragma once
// SPDX-License-Identifier: Apache-2.0
// Model files at the site, by hash: fetched from the coordinator once, sealed baselines opened once. Files may lie in a
// cache (BlobStore::Use): one of an earlier agent is verified before its first use, and fetched again if a power cut
// has damaged it. Thread-safe.

#include <filesystem>
#include <functional>
#include <mutex>
#include <set>

#include "protocols/crypto/x25519.h"
#include "protocols/storage/blob_store.h"
#include "protocols/transport/stop.h"
#include "site_agent/link/coordinator_link.h"

namespace cloister::site {

// What a baseline's content key and content are bound to.
struct BaselineSeal {
  Digest plan;
  SiteId origin;
};

class ModelStore {
 public:
  // Both must outlive this.
  ModelStore(storage::BlobStore* blobs, CoordinatorLink* link) : blobs_(blobs), link_(link) {}

  // The file with this content. Codes as CoordinatorLink::Download.
  absl::StatusOr<std::filesystem::path> Fetch(const Digest& digest, uint64_t most_bytes,
                                              const transport::StopSource& stop);

  // The safetensors file inside a sealed baseline. DATA_LOSS: not sealed for us, or altered.
  absl::StatusOr<std::filesystem::path> FetchSealed(const Digest& digest, uint64_t most_bytes, const Bytes& sealed_key,
                                                    const BaselineSeal& seal, const SiteId& reader,
                                                    const crypto::X25519KeyPair& key,
                                                    const transport::StopSource& stop);

  // Moves a file made here, whose hash is `digest`, to its place.
  absl::StatusOr<std::filesystem::path> Adopt(const std::filesystem::path& file, const Digest& digest);

  // A baseline sealed under `content_key` (which is for this file only): the same input gives the same bytes.
  static absl::StatusOr<Bytes> SealBaseline(const crypto::SecretBytes& content_key, const BaselineSeal& seal,
                                            ByteView model);
  // The content key for one reader.
  static absl::StatusOr<Bytes> SealKey(ByteView reader_public_key, const BaselineSeal& seal, const SiteId& reader,
                                       const crypto::SecretBytes& content_key);

  storage::BlobStore& blobs() { return *blobs_; }

 private:
  absl::Status DropIfDamaged(const Digest& digest);
  void NoteSound(const Digest& digest);

  storage::BlobStore* blobs_;
  CoordinatorLink* link_;
  std::mutex mutex_;
  std::set<Digest> sound_;  // written or verified by this process; guarded by mutex_
};

}  // namespace cloister::site
