#pragma once
// SPDX-License-Identifier: Apache-2.0
// The one connection of a site or an operator to its coordinator. gRPC reconnects by itself; this adds the identity
// check before dialling, and turns what gRPC says about a failure into what a person can act on. Thread-safe.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <mutex>
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
  // INVALID_ARGUMENT: the target is not host:port, or a file is not what it should be; NOT_FOUND, PERMISSION_DENIED: a
  // file. A certificate that has merely expired is not an error here: Dial() says so until it has been renewed.
  static absl::StatusOr<std::shared_ptr<CoordinatorChannel>> Create(ChannelOptions options, const Clock* clock);
  // Without TLS, for tests and simulations in one process.
  static std::shared_ptr<CoordinatorChannel> Insecure(std::shared_ptr<grpc::Channel> channel);

  // What to make calls on; ask for it again before each call: a new certificate on the disk gives a new connection.
  // UNAUTHENTICATED: ours has expired (with the date and the way to a new one) or is of another consortium.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Dial();

  // What `status`, the outcome of a call, means. Broken connections, whatever code gRPC gives them, are UNAVAILABLE
  // with the likely cause: nobody listening, a name that does not resolve, a firewall; or UNAUTHENTICATED: a
  // coordinator of another consortium, or one that refuses our certificate. Everything else is FromGrpc(status).
  absl::Status Explain(const grpc::Status& status) const;

  const std::string& target() const { return options_.target; }

 private:
  CoordinatorChannel(ChannelOptions options, const Clock* clock) : options_(std::move(options)), clock_(clock) {}
  absl::Status Reload();  // under mutex_

  const ChannelOptions options_;
  const Clock* const clock_;  // null: insecure
  std::mutex mutex_;
  std::shared_ptr<grpc::Channel> channel_;  // guarded by mutex_, as are the next two
  absl::Time expires_ = absl::InfiniteFuture();
  std::string files_seen_;  // times and sizes of the files when channel_ was made
};

// "host:port" with a port of 1 to 65535; IPv6 as "[::1]:port".
absl::Status CheckTarget(const std::string& target);

}  // namespace cloister::transport
