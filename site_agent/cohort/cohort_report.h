#pragma once
// SPDX-License-Identifier: Apache-2.0
// What came of building a cohort, in numbers and lines: who was found, who was left out and why, which rows of the
// label file are odd. Shown inside the hospital (command line, portal, validation report); carries no identifier.

#include <map>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "site_agent/cohort/label_file.h"
#include "site_agent/cohort/study_outcome.h"

namespace cloister::site {

struct CohortReport {
  std::string task;
  int found = 0;  // studies that C-FIND named
  int newly_fetched = 0;
  int patients = 0;  // with at least one usable study
  int positive_patients = 0;
  int positive_studies = 0;
  std::map<StudyOutcome, int> studies;            // each study once
  std::map<std::string, int> image_rejections;    // worker's reason code -> studies
  std::map<LabelProblem, std::vector<int>> rows;  // line numbers of the label file
  int label_rows = 0;

  int usable() const {
    const auto found_usable = studies.find(StudyOutcome::kUsable);
    return found_usable == studies.end() ? 0 : found_usable->second;
  }
};

std::string CohortReportJson(const CohortReport& report);
absl::StatusOr<CohortReport> ParseCohortReport(const std::string& json);

// For a terminal: a few lines, long lists of line numbers cut short.
std::string CohortReportText(const CohortReport& report);

}  // namespace cloister::site
