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

struct RetrievedStudy {
  std::vector<RetrievedFile> files;
  std::string missing;  // why not everything came, for people; "" when complete
};

class StudySource {
 public:
  virtual ~StudySource() = default;

  // Studies with at least one of the modalities. The PACS's own words in an error.
  virtual absl::StatusOr<std::vector<StudyRow>> FindStudies(const std::vector<std::string>& modalities) = 0;

  // All readable DICOM files of a study, put into `folder`. NOT_FOUND: the source reports success and sent nothing;
  // PERMISSION_DENIED: it refuses us (nothing else will work either); UNAVAILABLE, DEADLINE_EXCEEDED: it broke off or
  // was silent, which may be its state or this study: Check tells; anything else is about this study.
  virtual absl::StatusOr<RetrievedStudy> RetrieveStudy(const std::string& study_instance_uid,
                                                       const std::filesystem::path& folder) = 0;

  // OK: the source itself is well and knows us.
  virtual absl::Status Check() = 0;
};

}  // namespace cloister::site
