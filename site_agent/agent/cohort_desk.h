#pragma once
// SPDX-License-Identifier: Apache-2.0
// Builds a task's cohort with the PACS, the label file and the worker, and freezes it for an experiment. Used by the
// agent and by `cloister-site cohort`; a lock file keeps the two from working at the same time.

#include <filesystem>
#include <functional>
#include <memory>

#include "protocols/base/clock.h"
#include "protocols/crypto/secret.h"
#include "protocols/plan/experiment.h"
#include "protocols/transport/stop.h"
#include "site_agent/agent/site_config.h"
#include "site_agent/agent/worker_jobs.h"
#include "site_agent/cohort/cohort_builder.h"
#include "site_agent/storage/site_store.h"

namespace cloister::site {

struct PreparedCohort {
  CohortDraft draft;               // after the worker's rejections
  std::filesystem::path prepared;  // folder of the images
};

struct FrozenCohort {
  CohortManifest manifest;
  CohortReport report;  // of the build it was frozen from
  Digest digest;
  std::filesystem::path prepared;

  int Patients() const;
  std::vector<const ManifestCase*> Of(CohortSplit split) const;
};

class CohortDesk {
 public:
  // All must outlive this. Thread-safe.
  CohortDesk(const SiteConfig* config, SiteStore* store, StudySource* source, WorkerJobs* jobs,
             const crypto::SecretBytes* site_secret, const Clock* clock);

  // Blocks. An image that takes the worker down is rejected, and the others are prepared without it. Codes as
  // CohortBuilder::Build, and: FAILED_PRECONDITION: no label file for the task; INTERNAL: the worker could not prepare
  // the images.
  absl::StatusOr<PreparedCohort> Prepare(const plan::Task& task, const transport::StopSource& stop);

  // The cohort of an experiment: frozen once, then the same for ever. Blocks the first time.
  absl::StatusOr<FrozenCohort> Freeze(const JobId& job, const plan::Experiment& plan,
                                      const transport::StopSource& stop);
  // NOT_FOUND: not frozen yet.
  absl::StatusOr<FrozenCohort> Frozen(const JobId& job) const;

 private:
  // Prepares the cases of `draft` and takes those out that cannot be used. The folder of the images, or "" when no case
  // is left.
  absl::StatusOr<std::filesystem::path> PrepareImages(const plan::Task& task, const transport::StopSource& stop,
                                                      CohortDraft& draft);
  // Takes the rejected cases out of `draft`: the rows for the catalogue.
  std::vector<StudyCatalogueRow> Reject(const std::map<std::string, std::string>& rejected, CohortDraft& draft) const;

  const SiteConfig* config_;
  SiteStore* store_;
  StudySource* source_;
  WorkerJobs* jobs_;
  const crypto::SecretBytes* site_secret_;
  const Clock* clock_;
};

}  // namespace cloister::site
