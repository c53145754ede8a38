// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/channel.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>

#include <charconv>

#include "protocols/base/file.h"
#include "protocols/transport/grpc_setup.h"
#include "protocols/transport/grpc_status.h"
#include "protocols/wire/limits.h"

namespace cloister::transport {
namespace {

// Changes whenever one of the files is replaced or rewritten.
std::string LookAt(const TlsFiles& files) {
  std::string seen;
  for (const auto& path : {files.ca, files.certificate, files.key}) {
    seen += FileStamp(path);
  }
  return seen;
}

grpc::ChannelArguments Arguments(const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(wire::kMaxReplyBytes);
  arguments.SetMaxSendMessageSize(wire::kMaxRequestBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 15'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A coordinator that is back should be found within seconds; our own loops add jitter.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 3'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, options.use_proxy ? 1 : 0);
  return arguments;
}

bool Contains(const std::string& text, std::initializer_list<const char*> any) {
  for (const char* part : any) {
    if (text.find(part) != std::string::npos) {
      return true;
    }
  }
  return false;
}

// Did the connection break, rather than the coordinator answer? gRPC says so under several codes.
bool IsTransport(const grpc::Status& status) {
  const std::string& text = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return Contains(text, {"failed to connect",
                             "Failed to connect",
                             "Socket closed",
                             "Connection reset",
                             "Broken pipe",
                             "DNS resolution",
                             "recvmsg",
                             "sendmsg",
                             "keepalive",
                             "Ping timeout",
                             "GOAWAY",
                             "handshake",
                             "Handshake",
                             "Transport closed",
                             "Endpoint",
                             "connections to all backends",
                             "Cancelling all calls",
                             "SSL",
                             "OS Error",

                             "Stream refused",
                             "Connecting",
                             "channel"});
    case grpc::StatusCode::UNKNOWN:
      return Contains(text, {"Stream removed"});
    case grpc::StatusCode::INTERNAL:
      return Contains(text, {"RST_STREAM", "Received http2 header with status", "Bad file descriptor"});
    case grpc::StatusCode::CANCELLED:
      return Contains(text, {"RST_STREAM", "Cancelled on the server side"});
    default:
      return false;
  }
}

}  // namespace

absl::Status CheckTarget(const std::string& target) {
  const size_t colon = target.rfind(':');
  int port = 0;
  bool valid = colon != std::string::npos && colon > 0;
  if (valid) {
    const char* end = target.data() + target.size();
    const auto [stopped, error] = std::from_chars(target.data() + colon + 1, end, port);
    valid = error == std::errc() && stopped == end && port >= 1 && port <= 65535;
    const std::string host = target.substr(0, colon);
    const bool bracketed = host.front() == '[' && host.back() == ']' && host.size() > 2;
    valid = valid && (bracketed || host.find_first_of(":[]/ ") == std::string::npos);
  }
  if (!valid) {
    return absl::InvalidArgumentError(
        fmt::format("coordinator address '{}': not host:port, such as coordinator.example.org:8443", target));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<CoordinatorChannel>> CoordinatorChannel::Create(ChannelOptions options,
                                                                               const Clock* clock) {
  SetUpGrpc();
  CLOISTER_RETURN_IF_ERROR(CheckTarget(options.target));
  std::shared_ptr<CoordinatorChannel> channel(new CoordinatorChannel(std::move(options), clock));
  const absl::Status loaded = channel->Dial().status();
  if (!loaded.ok() && loaded.code() != absl::StatusCode::kUnauthenticated) {
    return loaded;
  }
  return channel;
}

std::shared_ptr<CoordinatorChannel> CoordinatorChannel::Insecure(std::shared_ptr<grpc::Channel> channel) {
  ChannelOptions options;
  options.target = "in this process";
  std::shared_ptr<CoordinatorChannel> insecure(new CoordinatorChannel(std::move(options), nullptr));
  insecure->channel_ = std::move(channel);
  return insecure;
}

absl::Status CoordinatorChannel::Reload() {
  const std::string seen = LookAt(options_.tls);
  if (seen == files_seen_ && channel_ != nullptr) {
    return absl::OkStatus();
  }
  const auto own = CheckOwnCertificate(options_.tls, options_.role, clock_->Now());
  if (!own.ok()) {
    const bool ours_is_bad = own.status().code() == absl::StatusCode::kUnauthenticated;
    return ours_is_bad && !options_.renew_command.empty()
               ? absl::UnauthenticatedError(fmt::format("{}; for a new certificate: {}",
                                                        std::string(own.status().message()), options_.renew_command))
               : own.status();
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials, ClientTls(options_.tls));
  channel_ = grpc::CreateCustomChannel(options_.target, credentials, Arguments(options_));
  expires_ = own->not_after();
  files_seen_ = seen;
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> CoordinatorChannel::Dial() {
  std::lock_guard lock(mutex_);
  if (clock_ == nullptr) {
    return channel_;
  }
  if (channel_ != nullptr && expires_ < clock_->Now()) {
    files_seen_.clear();  // look again, and say what is wrong in full
    channel_ = nullptr;
  }
  const absl::Status loaded = Reload();
  if (!loaded.ok() && channel_ != nullptr) {
    // Half-written files during a renewal: the connection there is still good.
    return channel_;
  }
  CLOISTER_RETURN_IF_ERROR(loaded);
  return channel_;
}

absl::Status CoordinatorChannel::Explain(const grpc::Status& status) const {
  if (!IsTransport(status)) {
    return FromGrpc(status);
  }
  const std::string& text = status.error_message();
  const std::string& target = options_.target;
  if (Contains(text, {"certificate verify failed", "CERTIFICATE_VERIFY_FAILED"})) {
    return absl::UnauthenticatedError(fmt::format(
        "{} does not show a valid certificate of our consortium ({}): it has expired, is of another consortium, or the "
        "address is wrong; ask whoever runs the coordinator",
        target, options_.tls.ca.string()));
  }
  if (Contains(text, {"is not in peer certificate", "Hostname Verification", "Peer name"})) {
    return absl::UnauthenticatedError(
        fmt::format("the coordinator's certificate is not for the name in {}; dial a name it was issued for, or have a "
                    "new one issued "
                    "with this name (cloister ca approve --host)",
                    target));
  }
  if (Contains(text, {"alert"})) {
    return absl::UnauthenticatedError(
        fmt::format("the coordinator at {} refuses our certificate {}: does it belong to the same consortium? ({})",
                    target, options_.tls.certificate.string(), text));
  }
  if (Contains(text, {"WRONG_VERSION_NUMBER", "wrong version number"})) {
    return absl::UnavailableError(fmt::format("what listens at {} does not speak TLS; is it the right port?", target));
  }
  std::string cause = text;
  if (Contains(text, {"Connection refused"})) {
    cause = "connection refused; is cloister-coordinator running there, and is the port right?";
  } else if (Contains(text, {"DNS", "C-ares", "Name or service not known", "Domain name not found"})) {
    cause = "the name does not resolve; is it spelled right, and does this machine's DNS know it?";
  } else if (Contains(text, {"No route", "unreachable", "timed out", "Timeout", "timeout", "Deadline"})) {
    cause =
        "no answer; a firewall on the way, or a wrong address? (outbound TCP to this port, or a CONNECT proxy in "
        "https_proxy, is enough)";
  } else if (Contains(text, {"Socket closed", "reset", "Broken pipe", "Stream removed", "GOAWAY", "RST_STREAM",
                             "closed", "Cancel"})) {
    cause = "the connection was closed; is the coordinator restarting, or does it refuse our certificate?";
  }
  return absl::UnavailableError(fmt::format("cannot reach the coordinator at {}: {}", target, cause));
}

}  // namespace cloister::transport
