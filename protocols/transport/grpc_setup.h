#pragma once
// SPDX-License-Identifier: Apache-2.0
// What a process that uses gRPC sets once, before its first channel or server.

namespace cloister::transport {

// gRPC's own log goes to ours at debug level: what people need to know, Explain() (channel.h) and the server's identity
// check say. And a lost connection is made again while all our threads wait in their own back-offs. Cheap to call
// again.
void SetUpGrpc();

}  // namespace cloister::transport
