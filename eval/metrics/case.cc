// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/case.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace cloister::eval {

absl::Status CheckCases(CaseSpan cases) {
  for (size_t i = 0; i < cases.size(); ++i) {
    if (!(cases[i].score >= 0 && cases[i].score <= 1)) {  // also refuses NaN
      return absl::InvalidArgumentError(
          fmt::format("case {} of {}: the score is not a number in [0, 1]", i, cases.size()));
    }
  }
  return absl::OkStatus();
}

uint64_t CountPatients(CaseSpan cases) {
  std::vector<uint32_t> patients;
  patients.reserve(cases.size());
  for (const Case& one : cases) {
    patients.push_back(one.patient);
  }
  std::sort(patients.begin(), patients.end());
  return std::unique(patients.begin(), patients.end()) - patients.begin();
}

bool OneCasePerPatient(CaseSpan cases) {
  return CountPatients(cases) == cases.size();
}

}  // namespace cloister::eval
