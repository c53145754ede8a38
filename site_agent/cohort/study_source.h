#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where a cohort's studies come from, in the cohort's terms. Two implementations: a PACS (pacs_study_source.h) and the
// fake of the tests.

#include <filesystem>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/pacs_client.h"

namespace cloister::site {

struct RetrievedFile {
  std::filesystem::path path;
  InstanceHeader header;
};

class StudySource {
 public:
  virtual ~StudySource() = default;

  // Studies with at least one of the modalities. The PACS's own words in an error.
  virtual absl::StatusOr<std::vector<StudyRow>> FindStudies(const std::vector<std::string>& modalities) = 0;

  // All readable DICOM files of a study, put into `folder`. NOT_FOUND: the source reports success and sent nothing;
  // UNAVAILABLE and PERMISSION_DENIED: the source itself is not well (nothing else will work either); anything else is
  // about this study.
  virtual absl::StatusOr<std::vector<RetrievedFile>> RetrieveStudy(const std::string& study_instance_uid,
                                                                   const std::filesystem::path& folder) = 0;
};

}  // namespace cloister::site
