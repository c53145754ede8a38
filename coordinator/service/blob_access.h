#pragma once
// SPDX-License-Identifier: Apache-2.0
// Who may send and read which blob now. The driver says what each experiment allows; gRPC's threads ask. Thread-safe;
// nothing blocks.
//
//   role     | sends                                                        | reads
//   ---------+--------------------------------------------------------------+-----------------------------------------------
//   site     | its masked vectors, while it is asked for them, in exactly   | the models it was offered; another site's
//   sealed
//            | their size; its sealed baseline                              | baseline from the validation on
//   operator | an initial model                                             | global models

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "protocols/base/ids.h"
#include "protocols/transport/blob_service.h"

namespace cloister::coordinator {

using DigestSet = std::set<Digest>;

// What one experiment allows one site.
struct SiteBlobRights {
  std::shared_ptr<const DigestSet> readable;
  std::vector<uint64_t> masked_sizes;  // of the vectors it may send now; empty: none
  uint64_t baseline_bytes = 0;         // the most a sealed baseline may have; 0: none may be sent
};

// What one experiment allows.
struct JobBlobRights {
  std::map<SiteId, SiteBlobRights> sites;
  std::shared_ptr<const DigestSet> models;  // for operators
};

class BlobAccess {
 public:
  explicit BlobAccess(uint64_t most_model_bytes) : most_model_bytes_(most_model_bytes) {}

  void Set(const JobId& job, JobBlobRights rights);
  // Replaces what `rights` has of these sites; one that it has nothing of loses what it had.
  void Update(const JobId& job, const std::set<SiteId>& sites, JobBlobRights rights);

  // PERMISSION_DENIED says why; INVALID_ARGUMENT: a size; RESOURCE_EXHAUSTED: more uploads than a sum has any use for.
  absl::Status MayPut(const transport::Peer& peer, const wire::BlobHeader& header);
  absl::Status MayGet(const transport::Peer& peer, const Digest& digest) const;

 private:
  const uint64_t most_model_bytes_;
  mutable std::mutex mutex_;
  std::map<JobId, JobBlobRights> jobs_;  // guarded by mutex_
  // Different masked vectors announced while the rights of the job stood still; guarded by mutex_
  std::map<std::pair<JobId, SiteId>, DigestSet> announced_;
};

}  // namespace cloister::coordinator
