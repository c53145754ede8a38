#pragma once
// SPDX-License-Identifier: Apache-2.0
// A running coordinator: data folder, driver, gRPC server and status page, started in an order in which a failure has
// one clear reason and leaves nothing half done.

#include <memory>
#include <string>

#include "coordinator/service/config.h"
#include "coordinator/service/driver.h"
#include "protocols/base/clock.h"
#include "protocols/base/descriptor.h"
#include "protocols/transport/server.h"
#include "protocols/transport/watched_signer.h"

namespace cloister::coordinator {

extern const char* const kCodeVersion;

// What a coordinator needs from the disk, opened; shared by serve and check.
struct CoordinatorIdentity {
  crypto::Certificate tls;
  crypto::Certificate ca;
  std::unique_ptr<transport::WatchedSigner> signer;
};
// UNAUTHENTICATED, NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT: each with what to do. `clock` must outlive it.
absl::StatusOr<CoordinatorIdentity> LoadIdentity(const CoordinatorConfig& config, const Clock* clock);

// The folder, 0700, and the lock that only one coordinator at a time can have. FAILED_PRECONDITION: another one has it.
absl::StatusOr<Descriptor> LockDataFolder(const std::filesystem::path& data);

class Coordinator {
 public:
  // `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Start(const CoordinatorConfig& config, const Clock* clock);
  ~Coordinator();  // Stop()

  void Stop();
  int port() const { return server_->port(); }
  Driver& driver() { return *driver_; }
  storage::BlobStore& blobs() { return *blobs_; }

 private:
  Coordinator() = default;

  Descriptor lock_;
  std::unique_ptr<transport::WatchedSigner> signer_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<storage::BlobStore> blobs_;
  std::unique_ptr<Driver> driver_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<transport::Server> server_;
};

}  // namespace cloister::coordinator
