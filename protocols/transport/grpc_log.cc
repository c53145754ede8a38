// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/grpc_log.h"

#include <grpc/support/log.h>

#include <mutex>

#include "protocols/base/log.h"

namespace cloister::transport {

void AdoptGrpcLog() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function(
        [](gpr_log_func_args* args) { Log()->debug("grpc: {} ({}:{})", args->message, args->file, args->line); });
  });
}

}  // namespace cloister::transport
