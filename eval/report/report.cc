// SPDX-License-Identifier: Apache-2.0
#include "eval/report/report.h"

#include <fmt/core.h>

#include "eval/report/page.h"
#include "eval/report/report_json.h"

namespace cloister::eval {
namespace {

bool InUnit(double value) {
  return value >= 0 && value <= 1;
}  // false for NaN

absl::Status CheckCases(const ReportInput& input) {
  size_t with_local_only = 0;
  for (size_t i = 0; i < input.cases.size(); ++i) {
    const ReportCase& one = input.cases[i];
    with_local_only += one.local_only_score.has_value();
    if (!InUnit(one.prediction.score) || (one.local_only_score && !InUnit(*one.local_only_score))) {
      return absl::InvalidArgumentError(
          fmt::format("report: case {} of {}: a score is not a number in [0, 1]", i, input.cases.size()));
    }
  }
  if (with_local_only != 0 && with_local_only != input.cases.size()) {
    return absl::InvalidArgumentError(
        fmt::format("report: {} of {} cases have a local-only score", with_local_only, input.cases.size()));
  }
  return absl::OkStatus();
}

absl::Status CheckInput(const ReportInput& input) {
  CLOISTER_RETURN_IF_ERROR(CheckCases(input));
  if (!InUnit(input.threshold) || !InUnit(input.local_only_threshold.value_or(0)) ||
      !InUnit(input.prevalence.value_or(0))) {
    return absl::InvalidArgumentError("report: a threshold or the prevalence is not a number in [0, 1]");
  }
  if (const double volume = input.studies_per_day.value_or(1); !(volume > 0 && volume <= 1e6)) {
    return absl::InvalidArgumentError("report: studies a day is not a number above 0 and at most 1000000");
  }
  const std::string& link = input.viewer_link;
  const bool web = link.rfind("https://", 0) == 0 || link.rfind("http://", 0) == 0;
  if (!link.empty() && (!web || link.find("{case}") == std::string::npos)) {
    return absl::InvalidArgumentError("report: the viewer link must start with http:// or https:// and contain {case}");
  }
  for (const SubgroupColumn& column : input.subgroups) {
    if (column.of_case.size() != input.cases.size()) {
      return absl::InvalidArgumentError(fmt::format("report: subgroup \"{}\" has {} values for {} cases", column.name,
                                                    column.of_case.size(), input.cases.size()));
    }
  }
  if (!input.site_of_case.empty() && input.site_of_case.size() != input.cases.size()) {
    return absl::InvalidArgumentError(
        fmt::format("report: {} sites for {} cases", input.site_of_case.size(), input.cases.size()));
  }
  if (input.language != "en" && input.language != "zh") {
    return absl::InvalidArgumentError(fmt::format("report: language \"{}\"; allowed: zh, en", input.language));
  }
  if (input.bootstrap.replicates < 1 || input.bootstrap.replicates > 100000) {
    return absl::InvalidArgumentError("report: bootstrap replicates outside 1 to 100000");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Report> MakeReport(const ReportInput& input) {
  CLOISTER_RETURN_IF_ERROR(CheckInput(input));
  if (!input.measure_tables.empty()) {
    return Report{MeasuresJson(input), HtmlPage(input, ReportNumbers())};
  }
  const ReportNumbers numbers = ComputeNumbers(input);
  return Report{ReportJson(input, numbers), HtmlPage(input, numbers)};
}

}  // namespace cloister::eval
