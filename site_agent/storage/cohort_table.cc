// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/cohort_table.h"

#include "site_agent/storage/row_reader.h"

namespace cloister::site {
namespace {

CohortBuildRow ReadBuild(RowReader& row) {
  CohortBuildRow build;
  build.task = row.Text();
  build.report = row.Text();
  build.built_unix_ms = row.Int();
  return build;
}

}  // namespace

absl::Status CohortTable::PutStudies(const std::vector<StudyCatalogueRow>& rows) {
  if (rows.empty()) {
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, database_->Begin());
  for (const StudyCatalogueRow& row : rows) {
    CLOISTER_RETURN_IF_ERROR(
        transaction
            .Execute("INSERT OR REPLACE INTO study (task, study_instance_uid, accession_number, patient_id, "
                     "patient_sex, study_date, outcome, message, image_path, sop_instance_uid, image_digest, "
                     "manufacturer, view_position, fetch_attempts, updated_unix_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, "
                     "?, ?, ?, ?, ?, ?)",
                     {row.task, row.study_instance_uid, row.accession_number, row.patient_id, row.patient_sex,
                      row.study_date, row.outcome, row.message, row.image_path, row.sop_instance_uid, row.image_digest,
                      row.manufacturer, row.view_position, row.fetch_attempts, row.updated_unix_ms})
            .status());
  }
  return transaction.Commit();
}

absl::StatusOr<std::vector<StudyCatalogueRow>> CohortTable::Studies(const std::string& task) const {
  return ReadRows<StudyCatalogueRow>(
      database_->Query(
          "SELECT task, study_instance_uid, accession_number, patient_id, patient_sex, study_date, outcome, message, "
          "image_path, sop_instance_uid, image_digest, manufacturer, view_position, fetch_attempts, updated_unix_ms "
          "FROM study WHERE task = ? ORDER BY study_instance_uid",
          {task}),
      [](RowReader& row) {
        StudyCatalogueRow study;
        study.task = row.Text();
        study.study_instance_uid = row.Text();
        study.accession_number = row.Text();
        study.patient_id = row.Text();
        study.patient_sex = row.Text();
        study.study_date = row.Text();
        study.outcome = row.Text();
        study.message = row.Text();
        study.image_path = row.Text();
        study.sop_instance_uid = row.Text();
        study.image_digest = row.TakeDigest();
        study.manufacturer = row.Text();
        study.view_position = row.Text();
        study.fetch_attempts = row.Small();
        study.updated_unix_ms = row.Int();
        return study;
      });
}

absl::Status CohortTable::ForgetStudies(const std::string& task) {
  return database_->Execute("DELETE FROM study WHERE task = ?", {task}).status();
}

absl::Status CohortTable::PutBuild(const CohortBuildRow& row) {
  return database_
      ->Execute("INSERT OR REPLACE INTO cohort_build (task, report, built_unix_ms) VALUES (?, ?, ?)",
                {row.task, row.report, row.built_unix_ms})
      .status();
}

absl::StatusOr<std::optional<CohortBuildRow>> CohortTable::Build(const std::string& task) const {
  CLOISTER_ASSIGN_OR_RETURN(
      std::vector<CohortBuildRow> rows,
      ReadRows<CohortBuildRow>(
          database_->Query("SELECT task, report, built_unix_ms FROM cohort_build WHERE task = ?", {task}), ReadBuild));
  if (rows.empty()) {
    return std::nullopt;
  }
  return rows.front();
}

absl::StatusOr<std::vector<CohortBuildRow>> CohortTable::Builds() const {
  return ReadRows<CohortBuildRow>(
      database_->Query("SELECT task, report, built_unix_ms FROM cohort_build ORDER BY task"), ReadBuild);
}

absl::Status CohortTable::FreezeManifest(const ManifestRow& row) {
  return database_
      ->Execute(
          "INSERT INTO manifest (job, digest, task, document, prepared, report, frozen_unix_ms) VALUES (?, ?, ?, ?, ?, "
          "?, ?)",
          {row.job.value(), row.digest, row.task, storage::Blob{row.document}, row.prepared, row.report,
           row.frozen_unix_ms})
      .status();
}

absl::Status CohortTable::DropManifest(const JobId& job) {
  return database_
      ->Execute(
          "DELETE FROM manifest WHERE job = ? AND NOT EXISTS (SELECT 1 FROM experiment WHERE job = ? AND state IN "
          "('accepted', 'closed'))",
          {job.value(), job.value()})
      .status();
}

absl::StatusOr<ManifestRow> CohortTable::Manifest(const JobId& job) const {
  return ReadOne<ManifestRow>(
      database_->Query(
          "SELECT job, digest, task, document, prepared, report, frozen_unix_ms FROM manifest WHERE job = ?",
          {job.value()}),
      "the manifest of " + job.value(), [](RowReader& row) {
        ManifestRow manifest;
        manifest.job = JobId::Parse(row.Text()).value_or(JobId());
        manifest.digest = row.TakeDigest();
        manifest.task = row.Text();
        manifest.document = row.Blob();
        manifest.prepared = row.Text();
        manifest.report = row.Text();
        manifest.frozen_unix_ms = row.Int();
        return manifest;
      });
}

}  // namespace cloister::site
