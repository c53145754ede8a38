#pragma once
// SPDX-License-Identifier: Apache-2.0
// The validation report of one release at one site: a JSON document for machines and one self-contained HTML page,
// Chinese and English behind a switch, for the clinician who signs. Same input, same bytes.

#include <string>

#include "eval/report/input.h"
#include "protocols/base/status.h"

namespace cloister::eval {

struct Report {
  std::string json;
  std::string
      html;  // no external request: styles, charts and script are inside. "?lang=en" or "?lang=zh" picks the language.
};

// INVALID_ARGUMENT: a score, threshold or prevalence outside [0, 1], some but not all cases with a local-only score, a
// viewer link that is not http(s) or lacks {case}, or an unknown language.
absl::StatusOr<Report> MakeReport(const ReportInput& input);

}  // namespace cloister::eval
