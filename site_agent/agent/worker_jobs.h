#pragma once
// SPDX-License-Identifier: Apache-2.0
// Worker jobs by content: the same job.json is computed once, whoever asks and however often the agent was killed in
// between. Its folder is named by the digest of what goes in; result.json in it is the proof that it is done.

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "protocols/base/bytes.h"
#include "protocols/base/clock.h"
#include "site_agent/agent/background.h"
#include "site_agent/agent/worker_process.h"
#include "site_agent/storage/worker_job_table.h"

namespace cloister::site {

struct WorkerJob {
  std::string kind;    // as in the worker contract
  nlohmann::json job;  // of job.json, without "kind" and "threads"
  Bytes inputs;        // digests of the files that `job` names by path, where the path does not say the content
  std::string experiment;
  std::string title;  // for people
};

struct WorkerDone {
  std::filesystem::path folder;
  nlohmann::json result;
};

using WorkerOutcome = std::variant<WorkerDone, WorkerError>;
using OnProgress = std::function<void(const WorkerProgress&)>;

class WorkerJobs {
 public:
  struct Options {
    std::filesystem::path program;
    std::filesystem::path folder;  // of all job folders
    int threads = 1;
    WorkerLimits limits;
    int attempts = 2;  // a crash is tried again from the worker's checkpoint
    std::map<std::string, std::string> environment;
  };

  // All must outlive this.
  WorkerJobs(Options options, WorkerJobTable* table, Background* background, const Clock* clock);

  // The outcome, or nullopt while it waits for `lane` or runs there.
  std::optional<WorkerOutcome> Ensure(size_t lane, const WorkerJob& job, OnProgress on_progress);
  // The same on this thread, which must live as long as the job.
  WorkerOutcome Run(const WorkerJob& job, const transport::StopSource& stop, const OnProgress& on_progress);

  // A failed job is started again by the next Ensure.
  void ForgetFailure(const WorkerJob& job);
  // Removes the job's folder (results and checkpoints).
  void Remove(const WorkerJob& job);

  std::filesystem::path FolderOf(const WorkerJob& job) const;

 private:
  nlohmann::json DocumentOf(const WorkerJob& job) const;
  std::string KeyOf(const WorkerJob& job) const;

  Options options_;
  WorkerJobTable* table_;
  Background* background_;
  const Clock* clock_;
  std::mutex mutex_;
  std::map<std::string, WorkerError> failures_;  // guarded by mutex_; by key
};

}  // namespace cloister::site
