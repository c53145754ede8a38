#pragma once
// SPDX-License-Identifier: Apache-2.0
// The server side of resumable blob streams over a BlobStore. Content-addressed, so a retry is harmless and a blob that
// is there already costs no transfer. Holds one chunk per stream in memory, whatever the size of the blob.

#include <functional>
#include <memory>

#include "protocols/storage/blob_store.h"
#include "protocols/transport/tls.h"
#include "protocols/wire/cloister.grpc.pb.h"
#include "protocols/wire/messages.h"

namespace cloister::transport {

struct BlobPolicy {
  // May `peer` send this blob? Decides by role, purpose, job and size before a byte is stored. Must not block for long.
  std::function<absl::Status(const Peer& peer, const wire::BlobHeader& header)> may_put;
  // May `peer` read the blob with this digest?
  std::function<absl::Status(const Peer& peer, const Digest& digest)> may_get;
  // Called when a blob has become complete through a Put; optional.
  std::function<void(const Peer& peer, const wire::BlobHeader& header)> stored;
};

// Codes a client sees: INVALID_ARGUMENT a malformed header or a chunk over 1 MiB; OUT_OF_RANGE an offset that is not
// where the blob stands, or more bytes than declared; DATA_LOSS the hash does not match (what arrived is thrown away);
// UNAVAILABLE the same transfer is still open elsewhere (which ends it: try again); RESOURCE_EXHAUSTED the disk is
// full; NOT_FOUND; and whatever the policy says.
class BlobService final : public wire::v1::Blobs::CallbackService {
 public:
  // `store` must outlive the server that runs this.
  BlobService(storage::BlobStore* store, IdentifyPeer identify, BlobPolicy policy);
  ~BlobService() override;

  grpc::ServerUnaryReactor* Stat(grpc::CallbackServerContext* context, const wire::v1::StatBlobRequest* request,
                                 wire::v1::StatBlobReply* reply) override;
  grpc::ServerReadReactor<wire::v1::BlobChunk>* Put(grpc::CallbackServerContext* context,
                                                    wire::v1::StatBlobReply* reply) override;
  grpc::ServerWriteReactor<wire::v1::BlobChunk>* Get(grpc::CallbackServerContext* context,
                                                     const wire::v1::GetBlobRequest* request) override;

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace cloister::transport
