// SPDX-License-Identifier: Apache-2.0
// A small pool of threads, each waiting for one association at a time, so that a slow or silent peer blocks only the
// thread it talks to.

#include "site_agent/ingest/storage_scp.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dcmlayer.h>
#include <dcmtk/dcmnet/dimse.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "site_agent/ingest/dicom_setup.h"
#include "site_agent/ingest/receive_instance.h"

namespace cloister::site {
namespace {

constexpr int kNegotiationTimeoutSeconds = 30;
constexpr int kPollMs = 100;

// The sockets of open associations, so that Stop can cut those that do not end by themselves.
class OpenSockets {
 public:
  void Add(int socket) {
    std::lock_guard lock(mutex_);
    sockets_.insert(socket);
  }
  void Remove(int socket) {
    std::lock_guard lock(mutex_);
    sockets_.erase(socket);
    changed_.notify_all();
  }
  void CutAfter(std::chrono::milliseconds grace) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, grace, [&] { return sockets_.empty(); });
    for (const int socket : sockets_) {
      shutdown(socket, SHUT_RDWR);
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<int> sockets_;
};

thread_local int accepted_socket = -1;  // the one DCMTK accepted on this thread

// Lets us see the sockets DCMTK accepts; otherwise the plain TCP layer.
class WatchingLayer final : public DcmTransportLayer {
 public:
  explicit WatchingLayer(OpenSockets& sockets) : sockets_(sockets) {}
  DcmTransportConnection* createConnection(DcmNativeSocketType socket, OFBool use_secure_layer) override {
    accepted_socket = socket;
    sockets_.Add(socket);
    return DcmTransportLayer::createConnection(socket, use_secure_layer);
  }

 private:
  OpenSockets& sockets_;
};

std::string Trimmed(const char* text) {
  std::string value(text);
  value.erase(value.find_last_not_of(' ') + 1);
  value.erase(0, std::min(value.find_first_not_of(' '), value.size()));
  for (char& c : value) {  // it goes into the log
    c = c < ' ' || c > '~' ? '?' : c;
  }
  return value;
}

// Of the transfer syntaxes a peer proposes in one context: its first, but explicit VR rather than implicit.
std::string ChooseSyntax(const T_ASC_PresentationContext& context) {
  std::string chosen;
  for (int i = 0; i < context.transferSyntaxCount; ++i) {
    const std::string syntax = context.proposedTransferSyntaxes[i];
    if (DcmXfer(syntax.c_str()).getXfer() == EXS_Unknown) {
      continue;
    }
    if (chosen.empty() ||
        (chosen == UID_LittleEndianImplicitTransferSyntax && syntax == UID_LittleEndianExplicitTransferSyntax)) {
      chosen = syntax;
    }
  }
  return chosen;
}

bool IsServed(const char* abstract_syntax) {
  return std::strcmp(abstract_syntax, UID_VerificationSOPClass) == 0 ||
         dcmIsaStorageSOPClassUID(abstract_syntax, ESSC_All);
}

void AcceptContexts(T_ASC_Parameters* parameters) {
  for (int i = 0; i < ASC_countPresentationContexts(parameters); ++i) {
    T_ASC_PresentationContext context{};
    if (ASC_getPresentationContext(parameters, i, &context).bad()) {
      continue;
    }
    const std::string syntax = IsServed(context.abstractSyntax) ? ChooseSyntax(context) : "";
    if (!syntax.empty()) {
      ASC_acceptPresentationContext(parameters, context.presentationContextID, syntax.c_str());
    } else {
      ASC_refusePresentationContext(
          parameters, context.presentationContextID,
          IsServed(context.abstractSyntax) ? ASC_P_TRANSFERSYNTAXESNOTSUPPORTED : ASC_P_ABSTRACTSYNTAXNOTSUPPORTED);
    }
  }
}

}  // namespace

class StorageScp::Impl {
 public:
  Impl(StorageScpConfig config, ReceiveCallback on_received)
      : config_(std::move(config)), on_received_(std::move(on_received)), layer_(sockets_) {}

  ~Impl() { Stop(); }

  absl::Status Start();
  void Stop();

  const StorageScpConfig& config() const { return config_; }
  int port() const { return port_; }
  Counters counters() const {
    return {associations_.load(), refused_associations_.load(), stored_.load(), refused_instances_.load()};
  }

 private:
  std::filesystem::path Incoming() const { return config_.inbox / ".incoming"; }

  void Serve();
  void HandleAssociation(T_ASC_Association* association);
  // False when the association was refused.
  bool Accept(T_ASC_Association* association);
  void Refuse(T_ASC_Association* association, T_ASC_RejectParametersResult result, T_ASC_RejectParametersSource source,
              T_ASC_RejectParametersReason reason, const std::string& why);
  // Answers messages until the peer leaves; false when it has to be aborted.
  bool AnswerMessages(T_ASC_Association* association);
  OFCondition HandleStore(T_ASC_Association* association, T_ASC_PresentationContextID context,
                          T_DIMSE_C_StoreRQ* request);

  const StorageScpConfig config_;
  const ReceiveCallback on_received_;
  OpenSockets sockets_;
  WatchingLayer layer_;
  T_ASC_Network* network_ = nullptr;
  int port_ = 0;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> active_{0};
  std::atomic<uint64_t> next_partial_{0};
  std::atomic<uint64_t> associations_{0};
  std::atomic<uint64_t> refused_associations_{0};
  std::atomic<uint64_t> stored_{0};
  std::atomic<uint64_t> refused_instances_{0};
};

absl::Status StorageScp::Impl::Start() {
  std::error_code ignored;
  std::filesystem::remove_all(Incoming(), ignored);  // halves of an earlier run
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(Incoming()));
  const OFCondition started = ASC_initializeNetwork(NET_ACCEPTOR, config_.port, kNegotiationTimeoutSeconds, &network_);
  if (started.bad()) {
    const std::string text = started.text();
    if (text.find(std::strerror(EADDRINUSE)) != std::string::npos) {
      return absl::AlreadyExistsError(fmt::format(
          "port {} is in use by another program; stop it or choose another port for the Storage SCP", config_.port));
    }
    if (text.find(std::strerror(EACCES)) != std::string::npos) {
      return absl::PermissionDeniedError(
          fmt::format("no permission to listen on port {}; choose a port above 1023", config_.port));
    }
    return NetworkStatus(started, fmt::format("cannot listen on port {}", config_.port));
  }
  ASC_setTransportLayer(network_, &layer_, /*takeoverOwnership=*/0);
  const int listener = DUL_networkSocket(network_->network);
  fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);  // two threads may see the same caller
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return ErrnoStatus(errno, "cannot listen for", config_.ae_title);
  }
  port_ = ntohs(address.sin_port);
  const int threads = std::clamp(config_.max_associations, 1, 64) + 2;  // two to say no while the others are busy
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Serve(); });
  }
  return absl::OkStatus();
}

void StorageScp::Impl::Stop() {
  stopping_ = true;
  sockets_.CutAfter(std::chrono::seconds(2));
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
  if (network_ != nullptr) {
    ASC_dropNetwork(&network_);
    network_ = nullptr;
  }
}

void StorageScp::Impl::Serve() {
  const int listener = DUL_networkSocket(network_->network);
  while (!stopping_) {
    pollfd waiting{listener, POLLIN, 0};
    if (poll(&waiting, 1, kPollMs) <= 0) {
      continue;
    }
    T_ASC_Association* association = nullptr;
    accepted_socket = -1;
    const OFCondition received =
        ASC_receiveAssociation(network_, &association, ASC_MAXIMUMPDUSIZE, nullptr, nullptr, OFFalse, DUL_NOBLOCK, 0);
    const int socket = accepted_socket;
    if (received.good()) {
      HandleAssociation(association);
    }
    if (socket >= 0) {
      sockets_.Remove(socket);  // before it is closed and its number used again
    }
    if (association != nullptr) {
      ASC_dropSCPAssociation(association, /*timeout=*/1);
      ASC_destroyAssociation(&association);
    }
  }
}

void StorageScp::Impl::HandleAssociation(T_ASC_Association* association) {
  const int now_active = ++active_;
  if (now_active > config_.max_associations) {
    Refuse(association, ASC_RESULT_REJECTEDTRANSIENT, ASC_SOURCE_SERVICEPROVIDER_PRESENTATION_RELATED,
           ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED, "too many associations");
  } else if (Accept(association)) {
    ++associations_;
    if (!AnswerMessages(association)) {
      ASC_abortAssociation(association);
    }
  }
  --active_;
}

void StorageScp::Impl::Refuse(T_ASC_Association* association, T_ASC_RejectParametersResult result,
                              T_ASC_RejectParametersSource source, T_ASC_RejectParametersReason reason,
                              const std::string& why) {
  ++refused_associations_;
  Log()->warn("storage SCP '{}': refused an association: {}", config_.ae_title, why);
  const T_ASC_RejectParameters parameters{result, source, reason};
  ASC_rejectAssociation(association, &parameters);
}

bool StorageScp::Impl::Accept(T_ASC_Association* association) {
  const std::string called = Trimmed(association->params->DULparams.calledAPTitle);
  const std::string calling = Trimmed(association->params->DULparams.callingAPTitle);
  if (called.empty() && calling.empty()) {
    return false;  // it left before it said anything
  }
  if (called != config_.ae_title) {
    Refuse(association, ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER, ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED,
           fmt::format("'{}' called '{}', but this is '{}'; correct the AE title in that PACS", calling, called,
                       config_.ae_title));
    return false;
  }
  const auto& allowed = config_.allowed_calling_ae_titles;
  if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), calling) == allowed.end()) {
    Refuse(association, ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER, ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED,
           fmt::format("'{}' is not among the AE titles allowed to send here", calling));
    return false;
  }
  AcceptContexts(association->params);
  return ASC_acknowledgeAssociation(association).good();
}

bool StorageScp::Impl::AnswerMessages(T_ASC_Association* association) {
  auto last_heard = std::chrono::steady_clock::now();
  while (!stopping_) {
    T_DIMSE_Message message{};
    T_ASC_PresentationContextID context = 0;
    DcmDataset* detail = nullptr;
    OFCondition condition = DIMSE_receiveCommand(association, DIMSE_NONBLOCKING, 1, &context, &message, &detail);
    delete detail;
    if (condition == DIMSE_NODATAAVAILABLE) {
      const auto silent = std::chrono::steady_clock::now() - last_heard;
      if (silent > absl::ToChronoSeconds(config_.idle_timeout)) {
        return false;
      }
      continue;
    }
    if (condition == DUL_PEERREQUESTEDRELEASE) {
      ASC_acknowledgeRelease(association);
      return true;
    }
    if (condition.good() && message.CommandField == DIMSE_C_ECHO_RQ) {
      condition = DIMSE_sendEchoResponse(association, context, &message.msg.CEchoRQ, STATUS_Success, nullptr);
    } else if (condition.good() && message.CommandField == DIMSE_C_STORE_RQ) {
      condition = HandleStore(association, context, &message.msg.CStoreRQ);
    } else {
      return false;
    }
    if (condition.bad()) {
      return false;
    }
    last_heard = std::chrono::steady_clock::now();
  }
  return false;
}

OFCondition StorageScp::Impl::HandleStore(T_ASC_Association* association, T_ASC_PresentationContextID context,
                                          T_DIMSE_C_StoreRQ* request) {
  ReceiveOptions options;
  options.timeout_seconds = static_cast<int>(std::max<int64_t>(1, absl::ToInt64Seconds(config_.idle_timeout)));
  options.max_bytes = config_.max_instance_bytes;
  options.sync = true;
  const std::filesystem::path partial = Incoming() / fmt::format("{}.part", next_partial_++);
  const auto file = ReceiveInstance(association, context, request, partial, options, [&](const InstanceHeader& header) {
    return config_.inbox / header.study_instance_uid / (header.sop_instance_uid + ".dcm");
  });
  absl::Status outcome = file.status();
  if (file.ok() && on_received_) {
    ReceivedInstance instance{file->path, file->header, Trimmed(association->params->DULparams.callingAPTitle),
                              (request->opts & O_STORE_MOVEORIGINATORAETITLE) != 0
                                  ? Trimmed(request->MoveOriginatorApplicationEntityTitle)
                                  : ""};
    outcome = on_received_(instance);
    if (!outcome.ok()) {
      std::error_code ignored;
      std::filesystem::remove(file->path, ignored);
    }
  }
  ++(outcome.ok() ? stored_ : refused_instances_);
  if (!outcome.ok()) {
    Log()->warn("storage SCP '{}': refused an instance: {}", config_.ae_title, std::string(outcome.message()));
  }
  return AnswerStore(association, context, *request, outcome);
}

StorageScp::StorageScp(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StorageScp::~StorageScp() = default;

absl::StatusOr<std::unique_ptr<StorageScp>> StorageScp::Start(StorageScpConfig config, ReceiveCallback on_received) {
  PrepareDicom();
  if (config.ae_title.empty() || config.ae_title.size() > 16 || Trimmed(config.ae_title.c_str()) != config.ae_title) {
    return absl::InvalidArgumentError(
        fmt::format("the AE title '{}' must be 1 to 16 characters without blanks around", config.ae_title));
  }
  if (config.port < 0 || config.port > 65535) {
    return absl::InvalidArgumentError(fmt::format("port {} is outside 0 to 65535", config.port));
  }
  auto impl = std::make_unique<Impl>(std::move(config), std::move(on_received));
  CLOISTER_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<StorageScp>(new StorageScp(std::move(impl)));
}

void StorageScp::Stop() {
  impl_->Stop();
}
int StorageScp::port() const {
  return impl_->port();
}
const std::string& StorageScp::ae_title() const {
  return impl_->config().ae_title;
}
std::filesystem::path StorageScp::StudyFolder(const std::string& study_instance_uid) const {
  return impl_->config().inbox / study_instance_uid;
}
StorageScp::Counters StorageScp::counters() const {
  return impl_->counters();
}

}  // namespace cloister::site
