#pragma once
// SPDX-License-Identifier: Apache-2.0
// The client side of resumable blob streams: goes on where the other side stands, tries again with backoff while the
// coordinator is away, and never reports success before the hash was checked. Thread-safe; each call blocks its thread.

#include <filesystem>
#include <functional>
#include <memory>

#include "protocols/storage/blob_store.h"
#include "protocols/transport/backoff.h"
#include "protocols/transport/channel.h"
#include "protocols/transport/stop.h"
#include "protocols/wire/messages.h"

namespace cloister::transport {

// Bytes that can be read again from any offset.
class BlobSource {
 public:
  virtual ~BlobSource() = default;
  virtual uint64_t size_bytes() const = 0;
  // Exactly `size` bytes from `offset`; both lie inside. Into `bytes`, whose memory is used again.
  virtual absl::Status Read(uint64_t offset, size_t size, Bytes* bytes) = 0;
};

// NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE (I/O).
absl::StatusOr<std::unique_ptr<BlobSource>> OpenFileSource(const std::filesystem::path& path);
std::unique_ptr<BlobSource> MemorySource(Bytes bytes);

struct TransferOptions {
  BackoffOptions backoff;
  absl::Duration give_up_after = absl::InfiniteDuration();  // without any progress
  absl::Duration stall = absl::Seconds(60);                 // a stream without a byte for so long is cut and resumed
  std::function<void(uint64_t done, uint64_t total)> progress;  // optional; on the calling thread
};

class BlobClient {
 public:
  explicit BlobClient(std::shared_ptr<CoordinatorChannel> channel, TransferOptions options = {});

  // OK: the coordinator has the blob and has checked its hash. DATA_LOSS: it refused the content three times, so
  // `source` is not what the header says; CANCELLED: `stop`; UNAVAILABLE: no progress for give_up_after; what its
  // policy says (never retried).
  absl::Status Upload(const wire::BlobHeader& header, BlobSource* source, const StopSource& stop) const;

  // OK: `store` has the blob (at once when it had it before). DATA_LOSS: what the coordinator sends is not this blob;
  // RESOURCE_EXHAUSTED: larger than `most_bytes`, or our disk is full; NOT_FOUND: it does not have it; the rest as
  // Upload.
  absl::Status Download(const Digest& digest, uint64_t most_bytes, storage::BlobStore* store,
                        const StopSource& stop) const;

 private:
  std::shared_ptr<CoordinatorChannel> channel_;
  TransferOptions options_;
};

}  // namespace cloister::transport
