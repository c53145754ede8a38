// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/worker_jobs.h"

#include <fmt/format.h>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"

namespace cloister::site {

using Json = nlohmann::json;

WorkerJobs::WorkerJobs(Options options, WorkerJobTable* table, Background* background, const Clock* clock)
    : options_(std::move(options)), table_(table), background_(background), clock_(clock) {}

Json WorkerJobs::DocumentOf(const WorkerJob& job) const {
  Json document = job.job;
  document["kind"] = job.kind;
  document["threads"] = options_.threads;
  return document;
}

std::string WorkerJobs::KeyOf(const WorkerJob& job) const {
  CanonicalWriter writer;
  writer.Blob("cloister/worker-job/1").Blob(DocumentOf(job).dump()).Blob(job.inputs);
  return crypto::Sha256(writer.bytes()).hex();
}

std::filesystem::path WorkerJobs::FolderOf(const WorkerJob& job) const {
  return options_.folder / (job.kind + "-" + KeyOf(job).substr(0, 24));
}

WorkerOutcome WorkerJobs::Run(const WorkerJob& job, const transport::StopSource& stop, const OnProgress& on_progress) {
  const std::string key = KeyOf(job);
  const std::filesystem::path folder = FolderOf(job);
  if (std::optional<Json> result = FinishedResult(folder)) {
    return WorkerDone{folder, *std::move(result)};
  }
  const auto unusable = [](const absl::Status& status) {
    return WorkerError{absl::IsResourceExhausted(status) ? WorkerFailure::kDiskFull : WorkerFailure::kInternal, "",
                       std::string(status.message())};
  };
  if (const absl::Status made = MakeDirectories(folder); !made.ok()) {
    return unusable(made);
  }
  std::error_code ignored;
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, ignored);
  if (const absl::Status written = WriteWorkerFile(folder / "job.json", DocumentOf(job).dump()); !written.ok()) {
    return unusable(written);
  }

  WorkerCommand command;
  command.program = options_.program;
  command.folder = folder;
  command.threads = options_.threads;
  command.limits = options_.limits;
  command.environment = options_.environment;
  WorkerJobRow row;
  row.key = key;
  row.kind = job.kind;
  row.title = job.title;
  row.experiment = job.experiment;
  row.folder = folder.string();
  for (int attempt = 1;; ++attempt) {
    row.started_unix_ms = absl::ToUnixMillis(clock_->Now());
    (void)table_->Start(row);  // for people; the folder holds the truth
    std::variant<Json, WorkerError> outcome = RunWorker(command, stop, on_progress);
    const int64_t now = absl::ToUnixMillis(clock_->Now());
    if (Json* result = std::get_if<Json>(&outcome)) {
      (void)table_->Finish(key, WorkerJobState::kDone, "", "", now);
      return WorkerDone{folder, std::move(*result)};
    }
    const WorkerError& error = std::get<WorkerError>(outcome);
    (void)table_->Finish(key, WorkerJobState::kFailed, std::string(WorkerFailureName(error.failure)), error.message,
                         now);
    if (error.failure != WorkerFailure::kStopped) {
      Log()->warn("worker {} ({}): {}: {}", job.kind, job.title, WorkerFailureName(error.failure), error.message);
    }
    if (error.failure != WorkerFailure::kCrashed || attempt >= options_.attempts || stop.stopped()) {
      return error;
    }
  }
}

std::optional<WorkerOutcome> WorkerJobs::Ensure(size_t lane, const WorkerJob& job, OnProgress on_progress) {
  const std::string key = KeyOf(job);
  const std::filesystem::path folder = FolderOf(job);
  const std::optional<absl::Status> status = background_->Ensure(
      lane, "worker/" + key, [this, job, key, on_progress](const transport::StopSource& stop) -> absl::Status {
        WorkerOutcome outcome = Run(job, stop, on_progress);
        if (const WorkerError* error = std::get_if<WorkerError>(&outcome)) {
          std::lock_guard lock(mutex_);
          failures_[key] = *error;
        }
        return absl::OkStatus();
      });
  if (!status.has_value()) {
    return std::nullopt;
  }
  {
    std::lock_guard lock(mutex_);
    const auto failed = failures_.find(key);
    if (failed != failures_.end()) {
      return failed->second;
    }
  }
  if (std::optional<Json> result = FinishedResult(folder)) {
    return WorkerDone{folder, *std::move(result)};
  }
  // Done once and swept since, by an earlier experiment with the same inputs: compute it again.
  background_->Forget("worker/" + key);
  return Ensure(lane, job, std::move(on_progress));
}

void WorkerJobs::ForgetFailure(const WorkerJob& job) {
  const std::string key = KeyOf(job);
  {
    std::lock_guard lock(mutex_);
    if (failures_.erase(key) == 0) {
      return;
    }
  }
  background_->Forget("worker/" + key);
}

void WorkerJobs::Remove(const WorkerJob& job) {
  ForgetFailure(job);
  background_->Forget("worker/" + KeyOf(job));
  std::error_code ignored;
  std::filesystem::remove_all(FolderOf(job), ignored);
}

}  // namespace cloister::site
