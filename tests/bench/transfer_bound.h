#pragma once
// SPDX-License-Identifier: Apache-2.0
// The bound of a round's transfers: clients that send and then fetch so many bytes over bare gRPC with mutual TLS, in
// 1 MiB chunks that nobody looks at.

#include <cstdint>
#include <filesystem>

#include "protocols/base/status.h"

namespace cloister::bench {

struct TransferCost {
  double wall_seconds = 0;
  double cpu_seconds = 0;
};

// Identity folders as protocols/transport/identity.h makes them.
absl::StatusOr<TransferCost> MeasureTransfers(const std::filesystem::path& coordinator,
                                              const std::filesystem::path& site, int clients, uint64_t bytes);

}  // namespace cloister::bench
