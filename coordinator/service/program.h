#pragma once
// SPDX-License-Identifier: Apache-2.0
// The running coordinator: wires identity, storage, driver, servicers and status page, and stops on a signal.

#include "coordinator/service/server_config.h"
#include "protocols/base/status.h"

namespace cloister::coordinator {

// Runs until SIGTERM or SIGINT. Errors before that are one line that says what to do.
absl::Status Serve(const ServerConfig& config);

// Reads everything Serve would need, without listening.
absl::Status Check(const ServerConfig& config);

}  // namespace cloister::coordinator
