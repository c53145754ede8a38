#pragma once
// SPDX-License-Identifier: Apache-2.0
// A gRPC server with the limits and keepalive both sides agree on. Owns nothing of its services, which must outlive it.

#include <grpcpp/server.h>
#include <grpcpp/support/config.h>

#include <memory>
#include <string>
#include <vector>

#include "protocols/transport/tls.h"

namespace cloister::transport {

struct ServerOptions {
  std::string listen;                                    // "0.0.0.0:8443"; port 0: any free one
  std::shared_ptr<grpc::ServerCredentials> credentials;  // ServerTls(), or insecure in tests
};

class Server {
 public:
  // FAILED_PRECONDITION: the address is in use or not ours; the message says how to find out by whom.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const std::vector<grpc::Service*>& services);
  ~Server();  // Stop(absl::Seconds(2))

  int port() const { return port_; }
  // No new calls; those that run get `grace` to end and are then cancelled. Long polls should be woken first.
  void Stop(absl::Duration grace);
  void Wait();

 private:
  Server(std::unique_ptr<grpc::Server> server, int port) : server_(std::move(server)), port_(port) {}
  std::unique_ptr<grpc::Server> server_;
  int port_;
};

}  // namespace cloister::transport
