// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/grpc_setup.h"

#include <grpc/support/log.h>

#include <cstdlib>
#include <mutex>

#include "protocols/base/log.h"

namespace cloister::transport {

void SetUpGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    // A connection attempt goes on only while some thread waits in a call, or in gRPC's background poll, which by
    // default comes every 5 s: a TLS handshake then needs longer than it may take, and a coordinator that was restarted
    // is never found again.
    setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "100", 0);
    gpr_set_log_function(
        [](gpr_log_func_args* args) { Log()->debug("grpc: {} ({}:{})", args->message, args->file, args->line); });
  });
}

}  // namespace cloister::transport
