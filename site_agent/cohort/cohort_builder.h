#pragma once
// SPDX-License-Identifier: Apache-2.0
// From a PACS and a label file to the cases of a task: find, join, fetch what is new, choose the image of each study.
// One bad study never stops a cohort; what it ended as is counted. Checking the pixels is the worker's business: its
// rejections are put in afterwards. Nothing here is logged but numbers.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "protocols/base/clock.h"
#include "protocols/crypto/secret.h"
#include "protocols/plan/task.h"
#include "site_agent/cohort/cohort_report.h"
#include "site_agent/cohort/manifest.h"
#include "site_agent/cohort/study_source.h"
#include "site_agent/storage/cohort_table.h"

namespace cloister::site {

struct CohortRequest {
  plan::Task task;
  std::filesystem::path label_file;
  std::string accession_column = "accession_number";
  bool keep_conflicting_patients = false;  // else a patient with studies of both labels is left out
};

struct DraftCase {
  std::string id;       // see ManifestCase
  std::string patient;  // pseudonym
  bool positive = false;
  StudyCatalogueRow study;
};

// The studies with a label and an image; `report` counts them as usable until the worker says otherwise.
struct CohortDraft {
  CohortReport report;
  std::vector<DraftCase> cases;  // by id
};

struct CohortBuilderOptions {
  std::filesystem::path cache;  // identified DICOM files: mode 0700, never leaves
  std::function<void(int done, int total)> progress = nullptr;
  std::function<bool()> cancelled = nullptr;
};

class CohortBuilder {
 public:
  // All must outlive this.
  CohortBuilder(StudySource* source, CohortTable* table, const crypto::SecretBytes* site_secret, const Clock* clock,
                CohortBuilderOptions options);

  // Fetches only what is labelled and not in the cache. UNAVAILABLE, PERMISSION_DENIED: the PACS (its own words; what
  // was fetched is kept); INVALID_ARGUMENT, NOT_FOUND: the label file; CANCELLED; RESOURCE_EXHAUSTED: the disk is full.
  // There is no usable study and the PACS failed on some: as the last of them.
  absl::StatusOr<CohortDraft> Build(const CohortRequest& request);

 private:
  struct Join;
  absl::StatusOr<Join> JoinLabels(const CohortRequest& request, const std::vector<StudyRow>& found) const;
  absl::Status Fetch(const CohortRequest& request, const std::string& id, StudyCatalogueRow& study) const;

  StudySource* source_;
  CohortTable* table_;
  const crypto::SecretBytes* site_secret_;
  const Clock* clock_;
  CohortBuilderOptions options_;
};

// The image of a study that the task is about: the modality and view of its selection, FOR PRESENTATION rather than FOR
// PROCESSING, then the first by series and instance number. Null: none. Also used when serving.
const RetrievedFile* ChooseImage(const std::vector<RetrievedFile>& files, const plan::Selection& selection);

// The reason of an image at which the worker died. It is not shown to a worker again for a week: a codec that was
// mended gets its chance then, and so does an image that something else killed the worker at.
inline constexpr char kImageKilledDecoder[] = "IMAGE_KILLED_DECODER";

// Takes the cases out that the worker rejected (case id -> reason code), counts what is left, and returns those taken
// out.
std::vector<DraftCase> ApplyRejections(const std::map<std::string, std::string>& rejected, CohortDraft& draft);

// Splits the patients and lists the cases.
CohortManifest FreezeCohort(const CohortDraft& draft, const SplitRule& rule, const crypto::SecretBytes& site_secret);

}  // namespace cloister::site
