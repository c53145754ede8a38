#pragma once
// SPDX-License-Identifier: Apache-2.0
// The reports of tasks without a two-by-two table: tables of measures.

#include <iosfwd>

#include "eval/cli/options.h"
#include "eval/report/report.h"

namespace cloister::eval {

// Of a table that has been read: multiclass and ordinal need `label` and `predicted` (class names) or a column
// "score:NAME" for each class; multilabel "label:NAME" and "score:NAME" for each; regression a number as `label` and as
// `score`; segmentation paths of masks as `truth` and `predicted`; detection paths of CSV files as `truth` (x, y, z,
// radius) and `predicted` (x, y, z, score). Paths are relative to the table's folder. INVALID_ARGUMENT with line and
// column.
absl::StatusOr<ReportInput> CategoryInput(const CsvTable& table, const ReportOptions& options);
absl::StatusOr<ReportInput> MultilabelInput(const CsvTable& table, const ReportOptions& options);
absl::StatusOr<ReportInput> RegressionInput(const CsvTable& table, const ReportOptions& options);
absl::StatusOr<ReportInput> SegmentationInput(const CsvTable& table, const ReportOptions& options,
                                              std::ostream& progress);
absl::StatusOr<ReportInput> DetectionInput(const CsvTable& table, const ReportOptions& options);

absl::StatusOr<Report> MakeTaskReport(const ReportOptions& options, std::ostream& progress);

}  // namespace cloister::eval
