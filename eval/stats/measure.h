#pragma once
// SPDX-License-Identifier: Apache-2.0
// A number of a task that has more than two answers, and the ways in which such numbers get their intervals.

#include <string>
#include <vector>

#include "eval/metrics/estimate.h"
#include "eval/metrics/weighted.h"
#include "eval/stats/bootstrap.h"

namespace cloister::eval {

struct Measure {
  std::string key;  // as in the JSON, and "metric.<key>" in the catalogue
  Estimable<Estimate> estimate = Reason::kNotMeasured;
};

// Mean of one value per case, by the patient bootstrap. kNoCases; kTooFewPatients: fewer than two patients. Requires as
// many patients as values.
Estimable<Estimate> MeanOfCases(absl::Span<const double> values, absl::Span<const uint32_t> patients,
                                const BootstrapOptions& bootstrap);

// Share of cases that are right: Wilson, or the patient bootstrap where patients repeat. kNoCases.
Estimable<Estimate> ShareOfCases(const std::vector<bool>& right, absl::Span<const uint32_t> patients,
                                 const BootstrapOptions& bootstrap);

bool PatientsRepeat(absl::Span<const uint32_t> patients);

}  // namespace cloister::eval
