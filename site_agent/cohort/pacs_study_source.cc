// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/pacs_study_source.h"

#include "protocols/base/file.h"

namespace cloister::site {

absl::StatusOr<std::vector<StudyRow>> PacsStudySource::FindStudies(const std::vector<std::string>& modalities) {
  StudyQuery query;
  query.modalities = modalities;
  return client_.FindStudies(query);
}

absl::Status PacsStudySource::Check() {
  return client_.Echo();
}

absl::StatusOr<RetrievedStudy> PacsStudySource::RetrieveStudy(const std::string& study_instance_uid,
                                                              const std::filesystem::path& folder) {
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  CLOISTER_ASSIGN_OR_RETURN(RetrieveOutcome outcome, scp_ == nullptr
                                                         ? client_.RetrieveStudy(study_instance_uid, folder)
                                                         : client_.RetrieveByMove(study_instance_uid, "", *scp_));
  if (outcome.code == RetrieveCode::kEmpty) {
    return absl::NotFoundError(outcome.message);
  }
  if (outcome.code == RetrieveCode::kFailed) {
    return absl::FailedPreconditionError(outcome.message);
  }
  RetrievedStudy study;
  study.missing = outcome.message;
  for (const std::filesystem::path& file : outcome.files) {
    absl::StatusOr<InstanceHeader> header = ReadHeader(file);
    if (!header.ok()) {
      study.missing = "a file that came cannot be read";
      continue;  // not the end of the study
    }
    std::filesystem::path path = file;
    if (scp_ != nullptr) {
      path = folder / file.filename();
      std::error_code error;
      std::filesystem::rename(file, path, error);
      if (error) {
        std::filesystem::copy_file(file, path, std::filesystem::copy_options::overwrite_existing, error);
        if (error) {
          return ErrnoStatus(error.value(), "cannot store", path);
        }
      }
    }
    study.files.push_back({path, *std::move(header)});
  }
  return study;
}

}  // namespace cloister::site
