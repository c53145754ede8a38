#pragma once
// SPDX-License-Identifier: Apache-2.0
// The only way out of a site: four calls to the coordinator, in the agent's terms. Fakes in tests and simulations
// implement it too. What may be sent at all is decided before, by the agent's egress gate. Implementations are
// thread-safe.

#include <absl/time/time.h>

#include <filesystem>

#include "protocols/storage/blob_store.h"
#include "protocols/transport/stop.h"
#include "protocols/wire/messages.h"

namespace cloister::site {

class CoordinatorLink {
 public:
  virtual ~CoordinatorLink() = default;

  // The site's open work as soon as its version differs from `known_version` (0: none known), else after about `wait`.
  // One call, no retry: WorkPuller (work_puller.h) is the loop. UNAVAILABLE with a line for people; UNAUTHENTICATED:
  // our certificate; CANCELLED: `stop`; INVALID_ARGUMENT: the coordinator sent something invalid.
  virtual absl::StatusOr<wire::Work> PullWork(uint64_t known_version, absl::Duration wait,
                                              const transport::StopSource& stop) = 0;

  // Delivered, or why not. Retries while the coordinator is away, until `stop`; idempotent. FAILED_PRECONDITION or
  // ABORTED: the coordinator no longer wants it (pull work again); INVALID_ARGUMENT, PERMISSION_DENIED: it never will.
  virtual absl::Status Submit(const wire::SiteMessage& message, const transport::StopSource& stop) = 0;

  // transport::BlobClient's Upload of a file; also tries again while the coordinator cannot store it.
  virtual absl::Status Upload(const wire::BlobHeader& header, const std::filesystem::path& file,
                              const transport::StopSource& stop) = 0;

  // transport::BlobClient's Download.
  virtual absl::Status Download(const Digest& digest, uint64_t most_bytes, storage::BlobStore* store,
                                const transport::StopSource& stop) = 0;
};

}  // namespace cloister::site
