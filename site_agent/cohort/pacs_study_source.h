#pragma once
// SPDX-License-Identifier: Apache-2.0
// A PACS as the source of a cohort: C-FIND, then C-GET, or C-MOVE to our own Storage SCP where the PACS offers no
// C-GET; C-ECHO to see whether it is well.

#include "site_agent/cohort/study_source.h"
#include "site_agent/ingest/storage_scp.h"

namespace cloister::site {

class PacsStudySource final : public StudySource {
 public:
  // With `scp` (which must outlive this) studies come by C-MOVE, without by C-GET.
  PacsStudySource(PacsClient client, const StorageScp* scp) : client_(std::move(client)), scp_(scp) {}

  absl::StatusOr<std::vector<StudyRow>> FindStudies(const std::vector<std::string>& modalities) override;
  absl::StatusOr<RetrievedStudy> RetrieveStudy(const std::string& study_instance_uid,
                                               const std::filesystem::path& folder) override;
  absl::Status Check() override;

 private:
  PacsClient client_;
  const StorageScp* scp_;
};

}  // namespace cloister::site
