#pragma once
// SPDX-License-Identifier: Apache-2.0
// A network's weights to and from safetensors: F32, PyTorch names, running statistics included.

#include "models/nets/network.h"
#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister::models {

// The same weights give the same bytes. INTERNAL: LibTorch failed.
absl::StatusOr<Bytes> SaveWeights(Network& network);

// Replaces the state of `network` by `model`; leaves it unchanged on failure.
// INVALID_ARGUMENT: malformed or truncated safetensors, a missing or foreign tensor, another shape, a value that is not
// finite (the tensor is named).
absl::Status LoadWeights(const Bytes& model, Network& network);

}  // namespace cloister::models
