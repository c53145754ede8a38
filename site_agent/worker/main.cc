// SPDX-License-Identifier: Apache-2.0
// cloister-worker: one job, in a sandbox, then gone. Started by cloister-site, never by a person.

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <new>
#include <nlohmann/json.hpp>

#include "models/trainer.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "site_agent/worker/compute.h"
#include "site_agent/worker/inspect.h"
#include "site_agent/worker/job.h"
#include "site_agent/worker/prepare.h"
#include "site_agent/worker/report.h"
#include "site_agent/worker/sandbox.h"
#include "site_agent/worker/self_test.h"
#include "site_agent/worker/startup.h"

namespace cloister::site {
namespace {

constexpr uint64_t kJobLimitBytes = uint64_t{256} << 20;

constexpr char kAbout[] =
    "Runs one job of a site agent: initial weights, inspecting or preparing images, training, validation or "
    "prediction.\n"
    "Reads DIR/job.json, prints progress as JSON lines, writes DIR/result.json last. Runs without network and\n"
    "reads only what the job names. Exit status: 0 done, 1 failed (result.json says why), 2 usage.";

Outcome RunPrepare(const PrepareJob& job, const plan::Task& task, const std::filesystem::path& folder,
                   ProgressWriter& progress) {
  const absl::StatusOr<PrepareCounts> counts = Prepare(job, task, folder, progress);
  if (!counts.ok()) {
    return Classify(counts.status(), FailureReason::kBadJob);
  }
  return nlohmann::json{{"prepared", "prepared.json"}, {"usable", counts->usable}, {"rejected", counts->rejected}};
}

Outcome RunInspect(const InspectJob& job, const std::filesystem::path& folder, ProgressWriter& progress) {
  const absl::Status inspected = Inspect(job, folder, progress);
  if (!inspected.ok()) {
    return Classify(inspected, FailureReason::kInputOutput);
  }
  return nlohmann::json{{"inspected", kInspectedFile}, {"files", job.files.size()}};
}

Outcome RunSelfTest(const SelfTestJob& job, const SandboxReport& report, const std::filesystem::path& folder) {
  absl::StatusOr<nlohmann::json> result = RunSelfTest(job.action, report, folder);
  if (!result.ok()) {
    return Classify(result.status(), FailureReason::kInternal);
  }
  return *std::move(result);
}

struct Runner {
  const Job& job;
  const SandboxReport& report;
  const std::filesystem::path& folder;
  ProgressWriter progress;

  Outcome operator()(const InitJob& init) { return RunInit(init, folder); }
  Outcome operator()(const PrepareJob& prepare) { return RunPrepare(prepare, job.task, folder, progress); }
  Outcome operator()(const InspectJob& inspect) { return RunInspect(inspect, folder, progress); }
  Outcome operator()(const TrainJob& train) { return RunTrain(train, job.task, folder, progress); }
  Outcome operator()(const ValidateJob& validate) { return RunValidate(validate, job.task, progress); }
  Outcome operator()(const PredictJob& predict) { return RunPredict(predict, job.task, folder, progress); }
  Outcome operator()(const SelfTestJob& test) { return RunSelfTest(test, report, folder); }
};

Outcome RunJob(const std::filesystem::path& folder) {
  const absl::StatusOr<Bytes> text = ReadFile(folder / "job.json", kJobLimitBytes);
  if (!text.ok()) {
    return Failure{FailureReason::kBadJob, text.status()};
  }
  const absl::StatusOr<Job> job = ParseJob(*text);
  if (!job.ok()) {
    return Failure{FailureReason::kBadJob, job.status()};
  }
  if (const SelfTestJob* test = std::get_if<SelfTestJob>(&job->kind)) {
    if (absl::Status status = CheckSelfTest(test->action); !status.ok()) {
      return Failure{FailureReason::kBadJob, status};
    }
  }
  const absl::StatusOr<SandboxReport> report = EnterSandbox({folder, ReadablePaths(*job), job->memory_bytes});
  if (!report.ok()) {
    return Failure{FailureReason::kSandbox, report.status()};
  }
  for (const std::string& warning : report->warnings) {
    Log()->warn("sandbox: {}", warning);
  }
  models::SetComputeThreads(job->threads);
  return std::visit(Runner{*job, *report, folder, {}}, job->kind);
}

int Run(const std::filesystem::path& folder) {
  Outcome outcome = Failure{FailureReason::kInternal, absl::InternalError("no outcome")};
  try {
    outcome = RunJob(folder);
  } catch (const std::bad_alloc&) {
    outcome = Failure{FailureReason::kOutOfMemory, absl::ResourceExhaustedError("out of memory")};
  } catch (const std::exception& error) {
    outcome = Failure{FailureReason::kInternal, absl::InternalError(error.what())};
  }
  const Failure* failure = std::get_if<Failure>(&outcome);
  const absl::Status written =
      failure != nullptr ? WriteFailure(folder, *failure) : WriteResult(folder, std::get<nlohmann::json>(outcome));
  if (failure != nullptr) {
    Log()->error("{}: {}", std::string(FailureReasonName(failure->reason)), std::string(failure->status.message()));
  }
  if (!written.ok()) {
    Log()->error("{}", std::string(written.message()));
  }
  return failure == nullptr && written.ok() ? 0 : 1;
}

}  // namespace
}  // namespace cloister::site

int main(int argc, char** argv) {
  cloister::site::RestartWithComputeEnvironment(argv);
  CLI::App app(cloister::site::kAbout, "cloister-worker");
  std::string folder;
  app.add_option("--job", folder, "The job folder; the only place this process may write to")
      ->required()
      ->type_name("DIR");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  cloister::SetUpLogging("worker");
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::canonical(folder, error);
  if (error) {
    std::cerr << "cloister-worker: " << folder << ": " << error.message() << "\n";
    return 2;
  }
  // Without destructors of static objects: a foreign module may have left some behind, and everything is written.
  const int status = cloister::site::Run(canonical);
  std::cout.flush();
  _exit(status);
}
