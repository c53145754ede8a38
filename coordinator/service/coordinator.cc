// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/coordinator.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "coordinator/service/federation_service.h"
#include "coordinator/service/operation_service.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/transport/identity.h"

namespace cloister::coordinator {
namespace {

constexpr absl::Duration kStopGrace = absl::Seconds(3);
constexpr absl::Duration kWarnBeforeExpiry = absl::Hours(24 * 30);
constexpr uint64_t kLowDiskBytes = uint64_t{1} << 30;

// Every site keeps a connection open; the usual soft limit of 1024 is for programs that use select().
void RaiseFileLimit() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

void WarnAboutExpiry(const crypto::Certificate& certificate, absl::Time now) {
  if (certificate.not_after() < now + kWarnBeforeExpiry) {
    Log()->warn("the certificate of {} expires on {}: renew it with cloister-coordinator init and the consortium's CA",
                certificate.subject_id(), FormatUtc(certificate.not_after()));
  }
}

}  // namespace

const char* const kCodeVersion = CLOISTER_VERSION;

absl::StatusOr<CoordinatorIdentity> LoadIdentity(const CoordinatorConfig& config, const Clock* clock) {
  CLOISTER_ASSIGN_OR_RETURN(crypto::Certificate tls,
                            transport::CheckOwnCertificate(transport::TlsFilesOf(config.certificates),
                                                           crypto::Role::kCoordinator, clock->Now()));
  CLOISTER_ASSIGN_OR_RETURN(std::unique_ptr<transport::WatchedSigner> signer,
                            transport::WatchedSigner::Create(config.certificates, crypto::Role::kCoordinator, clock));
  CLOISTER_ASSIGN_OR_RETURN(crypto::Certificate ca, transport::LoadAuthority(config.certificates));
  return CoordinatorIdentity{std::move(tls), std::move(ca), std::move(signer)};
}

absl::StatusOr<Descriptor> LockDataFolder(const std::filesystem::path& data) {
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(data));
  std::error_code error;
  std::filesystem::permissions(data, std::filesystem::perms::owner_all, error);
  if (error) {
    return ErrnoStatus(error.value(), "cannot set the mode of", data);
  }
  const std::filesystem::path path = data / "coordinator.lock";
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid()) {
    return ErrnoStatus(errno, "cannot open", path);
  }
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        fmt::format("another cloister-coordinator works with the data folder {}: stop it first", data.string()));
  }
  return file;
}

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(const CoordinatorConfig& config, const Clock* clock) {
  CLOISTER_ASSIGN_OR_RETURN(CoordinatorIdentity identity, LoadIdentity(config, clock));
  WarnAboutExpiry(identity.tls, clock->Now());
  WarnAboutExpiry(identity.signer->Get().certificate(), clock->Now());

  RaiseFileLimit();
  std::unique_ptr<Coordinator> coordinator(new Coordinator());
  CLOISTER_ASSIGN_OR_RETURN(coordinator->lock_, LockDataFolder(config.data));
  std::error_code ignored;
  if (const auto space = std::filesystem::space(config.data, ignored); !ignored && space.available < kLowDiskBytes) {
    Log()->warn("only {} MiB are free where {} is: a round needs room for a masked model of every site",
                space.available >> 20, config.data.string());
  }
  CLOISTER_ASSIGN_OR_RETURN(storage::Database database, storage::Database::Open(config.data / "coordinator.db"));
  coordinator->database_ = std::make_unique<storage::Database>(std::move(database));
  CLOISTER_ASSIGN_OR_RETURN(storage::BlobStore blobs, storage::BlobStore::Open(config.data / "blobs"));
  coordinator->blobs_ = std::make_unique<storage::BlobStore>(std::move(blobs));

  coordinator->signer_ = std::move(identity.signer);
  DriverOptions options{{coordinator->database_.get(), coordinator->blobs_.get(), clock, identity.ca,
                         [signer = coordinator->signer_.get()] { return signer->Get(); }, config.data, kCodeVersion},
                        config.most_model_bytes};
  CLOISTER_ASSIGN_OR_RETURN(coordinator->driver_, Driver::Create(std::move(options)));
  Driver* const driver = coordinator->driver_.get();

  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                            transport::ServerTls(transport::TlsFilesOf(config.certificates), clock->Now()));
  const transport::IdentifyPeer identify = transport::IdentifyByCertificate([clock] { return clock->Now(); });
  coordinator->services_.push_back(std::make_unique<FederationService>(driver, identify));
  coordinator->services_.push_back(std::make_unique<OperationService>(driver, identify));
  coordinator->services_.push_back(
      std::make_unique<transport::BlobService>(coordinator->blobs_.get(), identify, driver->blob_policy()));
  std::vector<grpc::Service*> services;
  for (const auto& service : coordinator->services_) {
    services.push_back(service.get());
  }
  driver->Start();
  CLOISTER_ASSIGN_OR_RETURN(coordinator->server_, transport::Server::Start({config.listen, credentials}, services));
  Log()->info("coordinator {} of \"{}\" listens on {} (port {}), data in {}", identity.tls.subject_id(),
              identity.ca.subject_id(), config.listen, coordinator->port(), config.data.string());
  return coordinator;
}

Coordinator::~Coordinator() {
  Stop();
}

void Coordinator::Stop() {
  if (driver_ != nullptr) {
    driver_->board().Close();  // so that long polls do not use up the grace
  }
  if (server_ != nullptr) {
    server_->Stop(kStopGrace);
  }
  if (driver_ != nullptr) {
    driver_->Stop();
  }
}

}  // namespace cloister::coordinator
