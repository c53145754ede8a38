#pragma once
// SPDX-License-Identifier: Apache-2.0
// grpc::Status to absl::Status and back: the one wall where they meet. Every code both ways, with its message; details
// are dropped.

#include <grpcpp/support/status.h>

#include "protocols/base/status.h"

namespace cloister::transport {

// A code gRPC does not define becomes UNKNOWN.
absl::Status FromGrpc(const grpc::Status& status);
// Messages longer than 4 KiB are cut: gRPC sends them as a header.
grpc::Status ToGrpc(const absl::Status& status);

}  // namespace cloister::transport
