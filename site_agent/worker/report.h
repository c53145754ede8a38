#pragma once
// SPDX-License-Identifier: Apache-2.0
// What a worker says to its agent: progress lines on stdout while it runs, result.json when it ends.

#include <chrono>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "models/trainer.h"
#include "protocols/base/status.h"

namespace cloister::site {

// Why a job failed, for the agent to act on. The names in result.json are in lower case ("bad_job").
enum class FailureReason {
  kBadJob,       // job.json is malformed or asks for what there is not
  kSandbox,      // the sandbox cannot be had on this machine
  kBadModel,     // weights or a module that cannot be used
  kBadData,      // prepared images or files that cannot be used
  kDiverged,     // training or prediction gave a value that is not finite
  kOutOfMemory,  // beyond the job's limit
  kInputOutput,  // the job folder cannot be written
  kInternal,     // our bug
};
std::string_view FailureReasonName(FailureReason reason);

// A status with the reason it has for the agent.
struct Failure {
  FailureReason reason = FailureReason::kInternal;
  absl::Status status;
};

// The reason of a status met while doing what has `usual` as its reason: memory, divergence and the disk come first.
Failure Classify(const absl::Status& status, FailureReason usual);

// Writes {"progress": {...}} lines to stdout, each at once and whole; at most four a second besides the last of a
// phase.
class ProgressWriter {
 public:
  void Train(const models::TrainProgress& progress);
  // `phase`: "inspect", "prepare", "validate", "predict"; "batch" `done` of "batches" `total`, which are cases or
  // models.
  void Count(std::string_view phase, int64_t done, int64_t total);

 private:
  bool Due(bool last);
  std::chrono::steady_clock::time_point next_;
};

// result.json, atomically and last. Codes as WriteFileAtomically.
absl::Status WriteResult(const std::filesystem::path& job_folder, const nlohmann::json& result);
absl::Status WriteFailure(const std::filesystem::path& job_folder, const Failure& failure);

}  // namespace cloister::site
