#pragma once
// SPDX-License-Identifier: Apache-2.0
// The report of a task with two answers.

#include <iosfwd>

#include "eval/cli/options.h"
#include "eval/report/report.h"

namespace cloister::eval {

// INVALID_ARGUMENT: as ReadBinary and MakeReport; a threshold rule that no threshold of the tuning cases meets; the
// same patient among the tuning and the tested cases.
absl::StatusOr<Report> MakeBinaryReport(const ReportOptions& options, std::ostream& progress);

}  // namespace cloister::eval
