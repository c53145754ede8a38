#pragma once
// SPDX-License-Identifier: Apache-2.0
// One run of cloister-worker: a child process in its own process group with a job folder, a clean environment and
// nothing else, watched until it ends. Whatever it does (crash, hang, eat memory, write nonsense) becomes an enumerated
// failure; the agent goes on. The kernel kills it when the agent dies.

#include <absl/time/time.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/transport/stop.h"

namespace cloister::site {

enum class WorkerFailure {
  kCrashed,      // a signal, a bad exit code without an explanation, or no usable result
  kTimedOut,     // over its time limit, or silent for too long
  kOutOfMemory,  // over its memory limit
  kDiskFull,
  kNotFinite,     // training diverged
  kModelInvalid,  // the model cannot be used
  kInternal,      // the worker says it was asked something impossible
  kCannotStart,   // the program is not there or does not start
  kStopped,       // we were asked to stop
};
// "CRASHED", ...
std::string_view WorkerFailureName(WorkerFailure failure);

struct WorkerProgress {
  std::string phase;  // train, prepare, validate, predict
  int epoch = 0;
  int epochs = 0;
  int batch = 0;
  int batches = 0;
  double loss = 0;
  double images_per_second = 0;
  double eta_seconds = 0;
};

struct WorkerLimits {
  absl::Duration time = absl::Hours(12);
  absl::Duration silence = absl::Minutes(15);  // without a line on stdout
  uint64_t memory_bytes = uint64_t{8} << 30;   // resident
};

struct WorkerCommand {
  std::filesystem::path program;
  std::filesystem::path folder;  // with job.json in it
  int threads = 1;
  WorkerLimits limits;
  std::map<std::string, std::string> environment;  // added to the clean one
};

struct WorkerError {
  WorkerFailure failure = WorkerFailure::kCrashed;
  std::string reason;   // the worker's own code, or ""
  std::string message;  // one line for people
};

// Blocks until the child has ended and all of its process group is gone. `on_progress` is called on this thread.
std::variant<nlohmann::json, WorkerError> RunWorker(const WorkerCommand& command, const transport::StopSource& stop,
                                                    const std::function<void(const WorkerProgress&)>& on_progress);

// A file for the worker, which may write in this folder too: a link that it left is not followed. Not synced, because a
// job whose folder a power cut takes is run again.
absl::Status WriteWorkerFile(const std::filesystem::path& path, ByteView bytes);

// The result of a run that ended well before, or nothing.
std::optional<nlohmann::json> FinishedResult(const std::filesystem::path& folder);

}  // namespace cloister::site
