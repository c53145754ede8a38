#pragma once
// SPDX-License-Identifier: Apache-2.0
// What would be done with each of many DICOM files. A file that takes this process down has cost only itself: what was
// found out before it is already written.

#include <filesystem>

#include "protocols/base/status.h"
#include "site_agent/worker/job.h"
#include "site_agent/worker/report.h"

namespace cloister::site {

// The file in the job folder that Inspect writes: a JSON object a line, in the order of the job's files.
inline constexpr char kInspectedFile[] = "inspected.jsonl";

// Each line is whole and written before the next file is opened, so that their number says which file was at work when
// this process ended. UNAVAILABLE, RESOURCE_EXHAUSTED: the job folder cannot be written.
absl::Status Inspect(const InspectJob& job, const std::filesystem::path& job_folder, ProgressWriter& progress);

}  // namespace cloister::site
