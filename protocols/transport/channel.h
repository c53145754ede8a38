#pragma once
// SPDX-License-Identifier: Apache-2.0
// The one connection of a site or an operator to its coordinator. gRPC reconnects by itself; this adds the identity
// check before dialling, and turns what gRPC says about a failure into what a person can act on. Thread-safe.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>

#include "protocols/base/clock.h"
#include "protocols/transport/tls.h"

namespace cloister::transport {

struct ChannelOptions {
  std::string target;  // "host:port"
  TlsFiles tls;
  crypto::Role role = crypto::Role::kSite;  // our own
  // Shown in errors: how to get a new certificate, e.g. "cloister-site enroll --renew".
  std::string renew_command;
  bool use_proxy = true;  // honour https_proxy, http_proxy, grpc_proxy and no_proxy (CONNECT)
};

class CoordinatorChannel {
 public:
  // INVALID_ARGUMENT: the target is not host:port. Codes of CheckOwnCertificate.
  static absl::StatusOr<std::shared_ptr<CoordinatorChannel>> Create(ChannelOptions options, const Clock* clock);
  // Without TLS, for tests and simulations in one process.
  static std::shared_ptr<CoordinatorChannel> Insecure(std::shared_ptr<grpc::Channel> channel);

  const std::shared_ptr<grpc::Channel>& grpc() const { return channel_; }
  const std::string& target() const { return options_.target; }

  // What `status`, the outcome of a call, means. UNAVAILABLE and UNKNOWN from the transport are looked into: our own
  // certificate expired (UNAUTHENTICATED, with the date and the way to a new one), a coordinator of another consortium
  // (UNAUTHENTICATED), nobody listening, a name that does not resolve, a firewall (UNAVAILABLE). Everything else is
  // FromGrpc(status).
  absl::Status Explain(const grpc::Status& status) const;

  // UNAVAILABLE (explained) unless connected by `deadline`.
  absl::Status WaitConnected(absl::Time deadline) const;

 private:
  CoordinatorChannel(ChannelOptions options, const Clock* clock, std::shared_ptr<grpc::Channel> channel)
      : options_(std::move(options)), clock_(clock), channel_(std::move(channel)) {}

  ChannelOptions options_;
  const Clock* clock_;
  std::shared_ptr<grpc::Channel> channel_;
};

// "host:port" with a port of 1 to 65535; IPv6 as "[::1]:port".
absl::Status CheckTarget(const std::string& target);

}  // namespace cloister::transport
