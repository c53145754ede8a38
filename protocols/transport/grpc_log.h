#pragma once
// SPDX-License-Identifier: Apache-2.0
// gRPC's own log goes to ours at debug level: what people need to know, Explain() (channel.h) and the server's identity
// check say.

namespace cloister::transport {

// Once for the process; cheap to call again.
void AdoptGrpcLog();

}  // namespace cloister::transport
