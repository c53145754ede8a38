#pragma once
// SPDX-License-Identifier: Apache-2.0
// The catalogue of a task's studies at this site, the last build of its cohort, and frozen manifests. Holds patient
// identifiers: nothing of it leaves the hospital or goes into a log.

#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/storage/database.h"

namespace cloister::site {

// One study of the PACS that the task's selection named.
struct StudyCatalogueRow {
  std::string task;
  std::string study_instance_uid;
  std::string accession_number;
  std::string patient_id;
  std::string patient_sex;
  std::string study_date;
  std::string outcome;  // StudyOutcome name, see cohort/outcome.h; "" while not fetched
  std::string message;
  std::string image_path;  // of the chosen image in the cache; "" when none
  std::string sop_instance_uid;
  Digest image_digest;
  std::string manufacturer;
  std::string view_position;
  int fetch_attempts = 0;
  int64_t updated_unix_ms = 0;
};

struct CohortBuildRow {
  std::string task;
  std::string report;  // JSON of cohort/cohort_report.h
  int64_t built_unix_ms = 0;
};

struct ManifestRow {
  JobId job;
  Digest digest;
  std::string task;
  Bytes document;        // canonical JSON of cohort/manifest.h
  std::string prepared;  // folder of the prepared images
  std::string report;    // JSON of cohort/cohort_report.h, as it was then
  int64_t frozen_unix_ms = 0;
};

class CohortTable {
 public:
  explicit CohortTable(storage::Database* database) : database_(database) {}

  // Insert or replace.
  absl::Status PutStudy(const StudyCatalogueRow& row) { return PutStudies({row}); }
  // All or none.
  absl::Status PutStudies(const std::vector<StudyCatalogueRow>& rows);
  absl::StatusOr<std::vector<StudyCatalogueRow>> Studies(const std::string& task) const;  // by study UID
  absl::Status ForgetStudies(const std::string& task);

  absl::Status PutBuild(const CohortBuildRow& row);
  absl::StatusOr<std::optional<CohortBuildRow>> Build(const std::string& task) const;
  absl::StatusOr<std::vector<CohortBuildRow>> Builds() const;

  // Frozen once: ALREADY_EXISTS for a job that has one.
  absl::Status FreezeManifest(const ManifestRow& row);
  // Only for an experiment that the site has not accepted: a cohort that was too small is looked at again.
  absl::Status DropManifest(const JobId& job);
  // NOT_FOUND: none frozen for the job.
  absl::StatusOr<ManifestRow> Manifest(const JobId& job) const;

 private:
  storage::Database* database_;
};

}  // namespace cloister::site
