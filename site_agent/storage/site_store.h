#pragma once
// SPDX-License-Identifier: Apache-2.0
// Everything a site remembers, in one SQLite file: the agent, the command line and the portal open the same one. One
// table class per noun; this opens the file, brings its schema up to date and hands them out. Thread-safe.

#include <filesystem>
#include <memory>

#include "protocols/storage/audit_log.h"
#include "protocols/storage/database.h"
#include "site_agent/storage/cohort_table.h"
#include "site_agent/storage/experiment_table.h"
#include "site_agent/storage/privacy_table.h"
#include "site_agent/storage/progress_table.h"
#include "site_agent/storage/release_table.h"
#include "site_agent/storage/serving_table.h"
#include "site_agent/storage/sum_table.h"
#include "site_agent/storage/worker_job_table.h"

namespace cloister::site {

class SiteStore {
 public:
  // Creates `folder`/site.db when missing. Codes as storage::Database::Open and Migrate.
  static absl::StatusOr<std::unique_ptr<SiteStore>> Open(const std::filesystem::path& folder);

  ExperimentTable& experiments() { return experiments_; }
  CohortTable& cohorts() { return cohorts_; }
  WorkerJobTable& worker_jobs() { return worker_jobs_; }
  SumTable& sums() { return sums_; }
  ReleaseTable& releases() { return releases_; }
  ServingTable& serving() { return serving_; }
  ProgressTable& progress() { return progress_; }
  PrivacyTable& privacy() { return privacy_; }
  storage::AuditLog& audit() { return *audit_; }
  storage::Database& database() { return database_; }

 private:
  explicit SiteStore(storage::Database database);

  storage::Database database_;
  ExperimentTable experiments_;
  CohortTable cohorts_;
  WorkerJobTable worker_jobs_;
  SumTable sums_;
  ReleaseTable releases_;
  ServingTable serving_;
  ProgressTable progress_;
  PrivacyTable privacy_;
  std::optional<storage::AuditLog> audit_;
};

}  // namespace cloister::site
