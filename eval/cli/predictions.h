#pragma once
// SPDX-License-Identifier: Apache-2.0
// Predictions of any model about anyone's cases, read from a table. Rows are put in the order of their case ids and
// patients in the order of theirs, so that the order of the file changes no number.

#include <string>
#include <vector>

#include "eval/cli/csv.h"
#include "eval/metrics/case.h"
#include "eval/stats/subgroups.h"

namespace cloister::eval {

struct PredictionColumns {
  std::string case_id = "case";
  std::string patient = "patient";
  std::string label = "label";
  std::string score = "score";
  std::string predicted = "predicted";  // the class called, or a path
  std::string truth = "truth";          // a path
  std::string compare;                  // another model's score of the same cases; empty: none
  std::string site;                     // where the case is from; empty: one site
  std::vector<std::string> subgroups;   // empty: every other column with at most kMaxLevels values
};

inline constexpr size_t kMaxLevels = 20;

// The rows of a table by case id, and whose they are.
struct Rows {
  std::vector<size_t> order;  // rows of the table
  std::vector<std::string> case_ids;
  std::vector<uint32_t> patients;
};

// INVALID_ARGUMENT: no such column (names those there are), an empty or repeated case id (names both lines), an empty
// patient. Without a patient column every case is its own patient.
absl::StatusOr<Rows> ReadRows(const CsvTable& table, const PredictionColumns& columns);

struct BinaryPredictions {
  std::vector<std::string> case_ids;
  Cases cases;
  std::vector<double> compare;     // empty: no other model
  std::vector<std::string> sites;  // empty: no site column
  std::vector<SubgroupColumn> subgroups;
  std::vector<std::string> notes;  // what was not used, and why
};

// INVALID_ARGUMENT, with line and column: also a label that is not 0 or 1, a score that is no number in [0, 1].
absl::StatusOr<BinaryPredictions> ReadBinary(const CsvTable& table, const PredictionColumns& columns);

// The columns that divide the cases, in the order of `rows`. INVALID_ARGUMENT: a column asked for is not there or has
// more than kMaxLevels values.
absl::StatusOr<std::vector<SubgroupColumn>> ReadSubgroups(const CsvTable& table, const Rows& rows,
                                                          const PredictionColumns& columns,
                                                          const std::vector<std::string>& used,
                                                          std::vector<std::string>& notes);

// Without its folders, which would make the same file's report another one elsewhere.
std::string FileName(const std::string& path);

// 1 or 0.
absl::StatusOr<bool> ReadLabel(const CsvTable& table, size_t row, size_t column);

// The place of a column. INVALID_ARGUMENT: none of that name.
absl::StatusOr<size_t> NeedColumn(const CsvTable& table, const std::string& name);

}  // namespace cloister::eval
