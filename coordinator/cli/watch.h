#pragma once
// SPDX-License-Identifier: Apache-2.0
// `cloister experiment watch`: a line for every event until the experiment has ended, across restarts of the
// coordinator.

#include "coordinator/cli/operator_client.h"
#include "coordinator/cli/terminal.h"
#include "protocols/transport/backoff.h"

namespace cloister::coordinator {

// The exit code: 0 released, kExitFailed, kExitAborted. With `json`, one JSON object a line. The first connection must
// succeed (its error is returned); later ones are tried again for ever.
absl::StatusOr<int> Watch(OperatorClient* client, const JobId& job, bool json, Terminal terminal,
                          transport::BackoffOptions backoff = {absl::Milliseconds(500), absl::Seconds(10)});

}  // namespace cloister::coordinator
