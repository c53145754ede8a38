#pragma once
// SPDX-License-Identifier: Apache-2.0
// The jobs that need LibTorch, through the doors of models/. Each reads what the job names, writes its files into
// `job_folder` and returns the content of result.json.

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <variant>

#include "protocols/plan/task.h"
#include "site_agent/worker/job.h"
#include "site_agent/worker/report.h"

namespace cloister::site {

using Outcome = std::variant<nlohmann::json, Failure>;

Outcome RunInit(const InitJob& job, const std::filesystem::path& job_folder);
// Goes on from the checkpoint in `job_folder`, if there is one of the same job; removes it at the end.
Outcome RunTrain(const TrainJob& job, const plan::Task& task, const std::filesystem::path& job_folder,
                 ProgressWriter& progress);
Outcome RunValidate(const ValidateJob& job, const plan::Task& task, ProgressWriter& progress);
Outcome RunPredict(const PredictJob& job, const plan::Task& task, const std::filesystem::path& job_folder,
                   ProgressWriter& progress);

}  // namespace cloister::site
