#pragma once
// SPDX-License-Identifier: Apache-2.0
// How one study of the PACS ended up in, or outside, a cohort. Every study has exactly one outcome, and every outcome
// is counted: one bad study never stops a cohort.

#include <string_view>
#include <vector>

namespace cloister::site {

enum class StudyOutcome {
  kUsable,              // in the cohort
  kNoLabel,             // its accession number is not in the label file
  kNoReference,         // the label text is neither positive nor negative
  kConflictingLabels,   // rows of this accession number disagree
  kConflictingPatient,  // studies of this patient disagree, and the site wants that rejected
  kDuplicateAccession,  // several studies of the PACS have this accession number
  kNoPatientId,         // cannot be split by patient
  kNotRetrieved,        // the PACS failed to deliver it
  kEmptyRetrieval,      // the PACS says success and sent nothing
  kPartialRetrieval,    // the PACS sent only some of its instances
  kNoMatchingImage,     // no image of the task's modality and view
  kImageRejected,       // the image could not be used; the message starts with the worker's reason code
};

// "USABLE", "NO_LABEL", ...
std::string_view StudyOutcomeName(StudyOutcome outcome);
// kNotRetrieved for anything unknown.
StudyOutcome ParseStudyOutcome(std::string_view name);
const std::vector<StudyOutcome>& AllStudyOutcomes();

// For people: what it means and what to do, in English and Chinese.
std::string_view StudyOutcomeAdvice(StudyOutcome outcome);
std::string_view StudyOutcomeAdviceZh(StudyOutcome outcome);

}  // namespace cloister::site
