// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cli/run_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>

#include <atomic>

#include "protocols/base/clock.h"
#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/storage/blob_store.h"
#include "protocols/transport/identity.h"
#include "protocols/transport/watched_signer.h"
#include "site_agent/agent/agent.h"
#include "site_agent/cli/site_pacs.h"
#include "site_agent/cohort/pacs_study_source.h"
#include "site_agent/link/grpc_coordinator_link.h"
#include "site_agent/web/portal.h"

namespace cloister::site {
namespace {

constexpr char kVersion[] = CLOISTER_VERSION;

absl::StatusOr<Descriptor> LockDataFolder(const std::filesystem::path& data) {
  const std::filesystem::path path = data / "agent.lock";
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid()) {
    return ErrnoStatus(errno, "cannot open", path);
  }
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        fmt::format("another cloister-site run works with the data folder {}: stop it first", data.string()));
  }
  return file;
}

absl::Status MakeDataFolder(const std::filesystem::path& data) {
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(data));
  std::error_code error;
  std::filesystem::permissions(data, std::filesystem::perms::owner_all, error);
  return error ? ErrnoStatus(error.value(), "cannot set the mode of", data) : absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Portal>> StartPortal(const SiteConfig& config, SiteStore* store, const Clock* clock) {
  if (config.portal_port == 0) {
    return nullptr;
  }
  PortalOptions options;
  options.site = config.site.value();
  options.host = config.portal_host;
  options.port = config.portal_port;
  options.users_file = config.portal_users;
  options.policy = [file = config.policy] { return ReadPolicy(file); };
  const absl::Status readable = transport::ReadUsers(config.portal_users).status();
  if (absl::IsNotFound(readable)) {
    Log()->warn("nobody can log in to the portal yet: cloister-site portal-user NAME");
  } else if (!readable.ok()) {
    return readable;
  }
  return Portal::Start(options, store, clock);
}

// Blocked in every thread, so that only WaitForSignal hears them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

}  // namespace

absl::Status RunAgent(const SiteConfig& config) {
  const sigset_t signals = BlockStopSignals();
  SetUpLogging(config.site.value(), config.log_level);
  setenv("TCP_NODELAY", "1", 1);  // DCMTK leaves Nagle on otherwise: every image then waits 45 ms
  const SystemClock clock;
  CLOISTER_RETURN_IF_ERROR(MakeDataFolder(config.data));
  CLOISTER_ASSIGN_OR_RETURN(const Descriptor lock, LockDataFolder(config.data));
  CLOISTER_RETURN_IF_ERROR(ReadPolicy(config.policy).status());

  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<transport::WatchedSigner> signer,
                            transport::WatchedSigner::Create(config.certificates, crypto::Role::kSite, &clock));
  if (const std::string id = signer->Get().id(); id != config.site.value()) {
    return absl::FailedPreconditionError(
        fmt::format("the certificate is for the site {}, the configuration says {}", id, config.site.value()));
  }
  CLOISTER_ASSIGN_OR_RETURN(crypto::Certificate ca, transport::LoadAuthority(config.certificates));
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<SiteStore> store, SiteStore::Open(config.data));
  CLOISTER_ASSIGN_OR_RETURN(storage::BlobStore blobs,
                            storage::BlobStore::Open(config.data / "blobs", storage::BlobStore::Use::kCache));

  transport::ChannelOptions channel_options;
  channel_options.target = config.coordinator;
  channel_options.tls = transport::TlsFilesOf(config.certificates);
  channel_options.role = crypto::Role::kSite;
  channel_options.renew_command = "cloister-site enroll --renew";
  CLOISTER_ASSIGN_OR_RETURN(std::shared_ptr<transport::CoordinatorChannel> channel,
                            transport::CoordinatorChannel::Create(channel_options, &clock));
  GrpcCoordinatorLink::Options link_options;
  link_options.agent_version = kVersion;
  GrpcCoordinatorLink link(std::move(channel), link_options);

  // The SCP listens before the agent is there: what comes in the meantime is asked for again.
  std::atomic<Agent*> running{nullptr};
  StorageScpConfig scp_config;
  scp_config.ae_title = config.ae_title;
  scp_config.port = config.scp_port;
  scp_config.inbox = config.data / "inbox";
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(scp_config.inbox));
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<StorageScp> scp,
                            StorageScp::Start(scp_config, [&running](const ReceivedInstance& instance) {
                              Agent* const agent = running.load();
                              return agent == nullptr ? absl::UnavailableError("the agent is starting")
                                                      : agent->OnReceived(instance);
                            }));

  CLOISTER_ASSIGN_OR_RETURN(PacsClient pacs, PacsClient::Create(PacsOf(config)));
  PacsStudySource source(pacs, config.retrieve == RetrieveBy::kMove ? scp.get() : nullptr);
  PacsResultSink sink(pacs);
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<Agent> agent,
                            Agent::Create(AgentParts{config,
                                                     store.get(),
                                                     &blobs,
                                                     &link,
                                                     &source,
                                                     &sink,
                                                     &clock,
                                                     [&signer] { return signer->Get(); },
                                                     std::move(ca),
                                                     {"resnet18", "resnet34", "resnet18_gn", "resnet34_gn"},
                                                     kVersion,
                                                     {}}));
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<Portal> portal, StartPortal(config, store.get(), &clock));
  agent->Start();
  running.store(agent.get());
  Log()->info("site {} runs: coordinator {}, PACS {} at {}:{}, receiving as {} on port {}", config.site.value(),
              config.coordinator, config.pacs_ae_title, config.pacs_host, config.pacs_port, config.ae_title,
              scp->port());
  if (portal != nullptr) {
    Log()->info("portal: {}", portal->url());
  }

  int signal_number = 0;
  sigwait(&signals, &signal_number);
  Log()->info("stopping");
  scp->Stop();
  running.store(nullptr);
  agent->Stop();
  return absl::OkStatus();
}

}  // namespace cloister::site
