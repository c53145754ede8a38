#pragma once
// SPDX-License-Identifier: Apache-2.0
// The state of a training between two epochs, in one file that carries its own digest. No LibTorch.

#include <filesystem>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister::models {

struct Checkpoint {
  Digest arguments;  // of everything that decides the bytes of the result
  uint32_t epochs_done = 0;
  double loss_first_epoch = 0;  // mean
  double loss_sum = 0;          // of the last epoch done
  Bytes weights;                // safetensors
  Bytes optimizer;              // Optimizer::Save
};

// Atomic; codes as WriteFileAtomically.
absl::Status WriteCheckpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
// NOT_FOUND: none yet. DATA_LOSS: damaged, or of another version. FAILED_PRECONDITION: of other arguments.
absl::StatusOr<Checkpoint> ReadCheckpoint(const std::filesystem::path& path, const Digest& arguments);

}  // namespace cloister::models
