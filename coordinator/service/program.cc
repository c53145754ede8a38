// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/program.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include "coordinator/service/driver.h"
#include "coordinator/service/federation_service.h"
#include "coordinator/service/operation_service.h"
#include "coordinator/web/status_page.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/transport/blob_service.h"
#include "protocols/transport/identity.h"
#include "protocols/transport/server.h"

namespace cloister::coordinator {
namespace {

// Blocks the signals that end us in this thread and all it starts, so that one place waits for them.
sigset_t BlockEndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

struct Identity {
  crypto::Certificate ca;
  crypto::Signer signer;
  std::shared_ptr<grpc::ServerCredentials> tls;
};

absl::StatusOr<Identity> LoadIdentity(const ServerConfig& config, absl::Time now) {
  CLOISTER_ASSIGN_OR_RETURN(crypto::Certificate ca, transport::LoadAuthority(config.certificates));
  CLOISTER_ASSIGN_OR_RETURN(crypto::Signer signer,
                            transport::LoadSigner(config.certificates, crypto::Role::kCoordinator, now));
  const transport::TlsFiles files = transport::TlsFilesOf(config.certificates);
  CLOISTER_RETURN_IF_ERROR(transport::CheckOwnCertificate(files, crypto::Role::kCoordinator, now).status());
  CLOISTER_ASSIGN_OR_RETURN(auto tls, transport::ServerTls(files, now));
  return Identity{std::move(ca), std::move(signer), std::move(tls)};
}

absl::StatusOr<std::unique_ptr<StatusPage>> StartStatusPage(const ServerConfig& config, Driver* driver,
                                                            const Clock* clock) {
  CLOISTER_ASSIGN_OR_RETURN(transport::Users users, transport::ReadUsers(config.web_users));
  return StatusPage::Start({config.web_host, config.web_port, std::move(users)}, driver, clock);
}

}  // namespace

absl::Status Serve(const ServerConfig& config) {
  const sigset_t signals = BlockEndingSignals();
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(Identity identity, LoadIdentity(config, clock.Now()));
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(config.data));
  std::filesystem::permissions(config.data, std::filesystem::perms::owner_all);
  CLOISTER_ASSIGN_OR_RETURN(storage::Database database, storage::Database::Open(config.data / "coordinator.db"));
  CLOISTER_ASSIGN_OR_RETURN(storage::BlobStore blobs, storage::BlobStore::Open(config.data / "blobs"));

  DriverOptions options{
      JobContext{&database, &blobs, &clock, identity.ca, identity.signer, config.data / "work", CLOISTER_VERSION}};
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(options.context.folder));
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<Driver> driver, Driver::Create(std::move(options)));

  const transport::IdentifyPeer identify = transport::IdentifyByCertificate();
  FederationService federation(driver.get(), identify);
  OperationService operation(driver.get(), identify);
  transport::BlobService blob_service(&blobs, identify, driver->blob_policy());
  driver->Start();
  CLOISTER_ASSIGN_OR_RETURN(
      const std::unique_ptr<transport::Server> server,
      transport::Server::Start({config.listen, identity.tls}, {&federation, &operation, &blob_service}));
  std::unique_ptr<StatusPage> page;
  if (config.web_port != 0) {
    CLOISTER_ASSIGN_OR_RETURN(page, StartStatusPage(config, driver.get(), &clock));
    Log()->info("status page at {}", page->url());
  }
  Log()->info("coordinator {} {} listens on {}", identity.signer.id(), CLOISTER_VERSION, config.listen);

  int signal = 0;
  sigwait(&signals, &signal);
  Log()->info("stopping on signal {}", signal);
  page.reset();
  driver->Stop();
  server->Stop(absl::Seconds(2));
  return absl::OkStatus();
}

absl::Status Check(const ServerConfig& config) {
  CLOISTER_RETURN_IF_ERROR(LoadIdentity(config, absl::Now()).status());
  if (config.web_port != 0) CLOISTER_RETURN_IF_ERROR(transport::ReadUsers(config.web_users).status());
  return absl::OkStatus();
}

}  // namespace cloister::coordinator
