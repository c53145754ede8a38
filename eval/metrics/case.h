#pragma once
// SPDX-License-Identifier: Apache-2.0
// One prediction about one patient: all that the numbers in eval/ are made of. No image, no identifier, no tensor.

#include <absl/types/span.h>

#include <cstdint>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::eval {

// `patient` is an opaque index: cases with the same one belong together, and the patient is the unit of analysis.
struct Case {
  uint32_t patient = 0;
  bool label = false;  // true: has the target condition
  double score = 0;    // probability of the target condition, in [0, 1]
};

using Cases = std::vector<Case>;
using CaseSpan = absl::Span<const Case>;

// INVALID_ARGUMENT: a score that is not a finite number in [0, 1]; names its position, never its value.
absl::Status CheckCases(CaseSpan cases);

// Distinct patients among `cases`.
uint64_t CountPatients(CaseSpan cases);

// True when no patient has more than one case, so that cases are independent.
bool OneCasePerPatient(CaseSpan cases);

}  // namespace cloister::eval
