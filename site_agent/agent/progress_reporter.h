#pragma once
// SPDX-License-Identifier: Apache-2.0
// Turns a worker's progress into what people see: a log line now and then, and one row for the portal and
// `cloister-site status`. Both are rate-limited; the last batch of an epoch is always shown.

#include <mutex>
#include <string>

#include "protocols/base/clock.h"
#include "site_agent/agent/worker_process.h"
#include "site_agent/storage/progress_table.h"

namespace cloister::site {

class ProgressReporter {
 public:
  // `job` may be empty (serving, cohorts). Thread-safe.
  ProgressReporter(ProgressTable* table, const Clock* clock, std::string job, std::string step, int round = 0,
                   int rounds = 0);

  void operator()(const WorkerProgress& progress);

 private:
  ProgressTable* table_;
  const Clock* clock_;
  ProgressRow row_;
  absl::Time logged_ = absl::InfinitePast();
  absl::Time stored_ = absl::InfinitePast();
};

// "round 3/8 epoch 1/1 batch 12/18 loss 0.41 52 images/s ETA 12 s"
std::string ProgressText(const ProgressRow& row);

}  // namespace cloister::site
