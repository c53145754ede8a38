#pragma once
// SPDX-License-Identifier: Apache-2.0
// A frozen cohort: which image of which study of which patient, its hash, its label and its split, as canonical JSON
// with one digest. The document stays at the site; the digest stands in the site's reports.

#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "site_agent/cohort/split.h"

namespace cloister::site {

struct ManifestCase {
  std::string id;       // "c" and 16 hex digits: a pseudonym of the study, the same in every experiment at this site
  std::string patient;  // "p" and 16 hex digits
  std::string accession_number;
  std::string study_instance_uid;
  std::string sop_instance_uid;
  Digest image;  // SHA-256 of the DICOM file
  bool positive = false;
  CohortSplit split = CohortSplit::kTrain;
};

struct CohortManifest {
  std::string task;
  std::vector<ManifestCase> cases;  // by id
};

Bytes ManifestDocument(const CohortManifest& manifest);
// INVALID_ARGUMENT: not such a document.
absl::StatusOr<CohortManifest> ParseManifest(const Bytes& document);

}  // namespace cloister::site
