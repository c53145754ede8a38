#pragma once
// SPDX-License-Identifier: Apache-2.0
// The label CSV of a task at this site: one row a study, joined by accession number. Reads what spreadsheets write (a
// byte order mark, CRLF, quotes, semicolons) and lists every odd row with its line number instead of stopping at it.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/plan/task.h"

namespace cloister::site {

enum class LabelProblem {
  kNoAccession,        // the accession number is empty
  kShortRow,           // fewer fields than the header names
  kDuplicateRow,       // same accession number, same label: used once
  kConflictingRow,     // same accession number, another label
  kUnknownAccession,   // no such study in the PACS (found when joined)
  kNoReference,        // the label is neither positive nor negative
  kConflictingPatient  // this patient has another label elsewhere (found when joined)
};
// "NO_ACCESSION", ...
std::string_view LabelProblemName(LabelProblem problem);

struct LabelFinding {
  LabelProblem problem;
  int line = 0;  // in the file, from 1
};

enum class LabelValue { kNegative, kPositive, kNoReference };

struct LabelRow {
  int line = 0;  // of the first row with this accession number
  LabelValue value = LabelValue::kNoReference;
  bool conflicting = false;
};

struct LabelFile {
  std::map<std::string, LabelRow> by_accession;
  std::vector<LabelFinding> findings;
  int rows = 0;
};

// `accession_column` names the column of the accession number; the label's column and texts are the task's.
// INVALID_ARGUMENT: no header, a column is missing (names the ones there are), more than a million rows, or a quote
// that never ends. The message names the file and the line, never a value.
absl::StatusOr<LabelFile> ParseLabelFile(const std::string& text, const std::string& file,
                                         const std::string& accession_column, const plan::Label& label);
// Also NOT_FOUND, PERMISSION_DENIED.
absl::StatusOr<LabelFile> ReadLabelFile(const std::filesystem::path& path, const std::string& accession_column,
                                        const plan::Label& label);

}  // namespace cloister::site
