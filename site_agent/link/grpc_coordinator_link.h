#pragma once
// SPDX-License-Identifier: Apache-2.0
// CoordinatorLink over gRPC with mutual TLS.

#include <memory>
#include <string>

#include "protocols/transport/blob_client.h"
#include "protocols/transport/channel.h"
#include "site_agent/link/coordinator_link.h"

namespace cloister::site {

class GrpcCoordinatorLink final : public CoordinatorLink {
 public:
  struct Options {
    std::string agent_version;
    absl::Duration call_timeout = absl::Seconds(30);  // of one attempt, beyond the wait of a long poll
    transport::TransferOptions transfer;              // its backoff is used for Submit too
  };

  GrpcCoordinatorLink(std::shared_ptr<transport::CoordinatorChannel> channel, Options options);

  absl::StatusOr<wire::Work> PullWork(uint64_t known_version, absl::Duration wait,
                                      const transport::StopSource& stop) override;
  absl::Status Submit(const wire::SiteMessage& message, const transport::StopSource& stop) override;
  absl::Status Upload(const wire::BlobHeader& header, const std::filesystem::path& file,
                      const transport::StopSource& stop) override;
  absl::Status Download(const Digest& digest, uint64_t most_bytes, storage::BlobStore* store,
                        const transport::StopSource& stop) override;

 private:
  std::shared_ptr<transport::CoordinatorChannel> channel_;
  Options options_;
  transport::BlobClient blobs_;
};

}  // namespace cloister::site
