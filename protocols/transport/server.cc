// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/server.h"

#include <fmt/format.h>
#include <grpcpp/server_builder.h>

#include "protocols/transport/grpc_setup.h"
#include "protocols/wire/limits.h"

namespace cloister::transport {

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const std::vector<grpc::Service*>& services) {
  SetUpGrpc();
  grpc::ServerBuilder builder;
  // With port reuse two coordinators could share a port and each get half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 15'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.SetMaxReceiveMessageSize(wire::kMaxRequestBytes);
  builder.SetMaxSendMessageSize(wire::kMaxReplyBytes);
  int port = 0;
  builder.AddListeningPort(options.listen, options.credentials, &port);
  for (grpc::Service* service : services) {
    builder.RegisterService(service);
  }
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    const std::string number = options.listen.substr(options.listen.rfind(':') + 1);
    return absl::FailedPreconditionError(fmt::format(
        "cannot listen on {}: the port is in use or the address is not this machine's; find out by whom with "
        "ss -ltnp 'sport = :{}', or set another port",
        options.listen, number));
  }
  return std::unique_ptr<Server>(new Server(std::move(server), port));
}

Server::~Server() {
  Stop(absl::Seconds(2));
}

void Server::Stop(absl::Duration grace) {
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
}

void Server::Wait() {
  server_->Wait();
}

}  // namespace cloister::transport
