#pragma once
// SPDX-License-Identifier: Apache-2.0
// The weights that every site of an experiment starts from: made by the worker program from the seed in the plan, or
// given as a file.

#include <filesystem>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/plan/experiment.h"

namespace cloister::coordinator {

struct InitialModel {
  Bytes file;  // safetensors in our canonical form (protocols/update)
  Digest digest;
  uint64_t parameters = 0;
};

// From another program's safetensors (float16, bfloat16 and float64 are converted). INVALID_ARGUMENT: not such a file,
// or a value that is not finite.
absl::StatusOr<InitialModel> ReadInitialModel(const std::filesystem::path& file);

// Runs `worker --job` with a job of kind "init". NOT_FOUND: no such program; otherwise what its result.json says.
absl::StatusOr<InitialModel> MakeInitialModel(const plan::Experiment& experiment, const std::filesystem::path& worker);

}  // namespace cloister::coordinator
