#pragma once
// SPDX-License-Identifier: Apache-2.0
// The report for machines: the same numbers as the page, unrounded.

#include <string>

#include "eval/report/numbers.h"

namespace cloister::eval {

std::string ReportJson(const ReportInput& input, const ReportNumbers& numbers);
// Of a task without a two-by-two table.
std::string MeasuresJson(const ReportInput& input);

}  // namespace cloister::eval
