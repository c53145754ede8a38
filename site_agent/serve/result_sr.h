#pragma once
// SPDX-License-Identifier: Apache-2.0
// A result as a Comprehensive 3D SR, root template TID 1500 (Measurement Report), in the study of the film it is about:
// patient and study attributes, accession number and character set are copied from the source instance; the series is
// ours. Always UNVERIFIED: a person reads it. Not here: sending it (ingest/pacs_client.h).

#include <absl/time/time.h>

#include <filesystem>
#include <string>

#include "protocols/base/status.h"

namespace cloister::site {

struct CodedConcept {
  std::string code_value;
  std::string coding_scheme_designator;
  std::string code_meaning;
};

// What answered: goes into Algorithm Identification (TID 4019), the equipment module and Contributing Equipment.
struct ReleaseIdentity {
  std::string algorithm_name;     // "chest-pneumonia"
  std::string algorithm_version;  // major.minor.patch.data of the release
  std::string software_version;   // of Cloister
  std::string device_uid;         // DeviceUid(release digest)
};

struct ClassificationResult {
  CodedConcept finding;  // what the score is about, e.g. (233604007, SCT, "Pneumonia")
  double score = 0;      // 0 to 1
  double threshold = 0;  // the operating point signed at this site
  bool positive = false;
};

struct NotAnalysed {
  std::string reason;   // enumerated, e.g. "TRUNCATED"
  std::string message;  // for people, one line of ASCII or UTF-8
};

struct WrittenInstance {
  std::filesystem::path path;  // <folder>/<SOPInstanceUID>.dcm
  std::string sop_instance_uid;
  std::string series_instance_uid;
};

// `source` is the analysed DICOM file; `created` becomes content date and time (UTC offset included).
// INVALID_ARGUMENT: `source` cannot be read, or a code, name or UID is empty or malformed, or score/threshold outside
// 0 to 1. Otherwise the statuses of writing a file.
absl::StatusOr<WrittenInstance> WriteResultSr(const std::filesystem::path& source, const ReleaseIdentity& release,
                                              const ClassificationResult& result, absl::Time created,
                                              const std::filesystem::path& folder);
absl::StatusOr<WrittenInstance> WriteNotAnalysedSr(const std::filesystem::path& source, const ReleaseIdentity& release,
                                                   const NotAnalysed& outcome, absl::Time created,
                                                   const std::filesystem::path& folder);

}  // namespace cloister::site
