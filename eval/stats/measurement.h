#pragma once
// SPDX-License-Identifier: Apache-2.0
// A predicted number beside its reference, such as bone age in months: how far apart are they, and which way?

#include "eval/stats/measure.h"

namespace cloister::eval {

struct Measurements {
  std::vector<uint32_t> patients;
  std::vector<double> predicted;
  std::vector<double> reference;
};

// mae, rmse, bias, limit_lower and limit_upper (of agreement), slope_on_mean, icc, and within_<k> for each of `within`.
// Student's and Bland and Altman's intervals where every patient has one case; where patients repeat, the patient
// bootstrap, and no ICC. Requires equal lengths and finite values.
std::vector<Measure> CompareMeasurements(const Measurements& cases, absl::Span<const double> within,
                                         const BootstrapOptions& bootstrap);

}  // namespace cloister::eval
