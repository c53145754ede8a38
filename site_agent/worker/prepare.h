#pragma once
// SPDX-License-Identifier: Apache-2.0
// From DICOM files to what a network sees. A bad image is a rejected case with a reason, never a failed job.

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "models/preprocess/preprocess.h"
#include "protocols/base/status.h"
#include "protocols/plan/task.h"
#include "site_agent/worker/job.h"
#include "site_agent/worker/report.h"

namespace cloister::site {

models::PreprocessConfig PreprocessConfigOf(const plan::Task& task);

struct UsableImage {
  models::GrayImage film;       // as displayed
  std::vector<uint8_t> pixels;  // uint8 [C, H, W]
};
struct RejectedCase {
  std::string reason;  // RejectReasonName, "BLANK" or "UNUSABLE_PIXELS"
  std::string message;
};

// The first of `files` that decodes and has something on it; else why the first was refused.
// RESOURCE_EXHAUSTED: out of memory.
absl::StatusOr<std::variant<UsableImage, RejectedCase>> LoadCase(const std::vector<std::filesystem::path>& files,
                                                                 const models::PreprocessConfig& config);

// Writes prepared.u8 and prepared.json into `job_folder`. While a case is at work its id stands in the file "decoding"
// there: what the agent goes by when a codec takes this process down.
struct PrepareCounts {
  int64_t usable = 0;
  int64_t rejected = 0;
};
absl::StatusOr<PrepareCounts> Prepare(const PrepareJob& job, const plan::Task& task,
                                      const std::filesystem::path& job_folder, ProgressWriter& progress);

}  // namespace cloister::site
