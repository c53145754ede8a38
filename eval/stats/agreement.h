#pragma once
// SPDX-License-Identifier: Apache-2.0
// How far two readings of the same cases agree: Cohen's kappa for grades, the intraclass correlation and Bland and
// Altman's limits for measurements.

#include <absl/types/span.h>

#include <vector>

#include "eval/metrics/estimate.h"
#include "eval/metrics/weighted.h"

namespace cloister::eval {

enum class KappaWeights { kNone, kLinear, kQuadratic };

// counts[i][j]: cases that the first reading put into category i and the second into j. Square.
using CategoryCounts = std::vector<std::vector<uint64_t>>;

// kNoCases; kNoVariation: chance alone would agree on everything. Requires a square table.
Estimable<double> Kappa(const CategoryCounts& counts, KappaWeights weights);
// With the interval of Fleiss, Cohen and Everitt (1969) for independent cases, clipped to [-1, 1]; method
// "kappa_normal".
Estimable<Estimate> KappaInterval(const CategoryCounts& counts, KappaWeights weights, double level = 0.95);

// ICC(2,1) of Shrout and Fleiss (1979): two-way random, single reading, absolute agreement. readings[subject][reader],
// every row as long. The interval is McGraw and Wong's (1996). kNoCases: no subject; kTooFewPatients: one subject;
// kNoVariation.
Estimable<Estimate> IntraclassCorrelation(const std::vector<std::vector<double>>& readings, double level = 0.95);

// Measurements of n independent cases.
struct LimitsOfAgreement {
  Estimate bias;   // mean of first - second; Student's interval
  Estimate lower;  // bias -+ 1.96 standard deviations, each with Bland and Altman's interval (1999, section 2.1)
  Estimate upper;
  Estimable<Estimate> slope = Reason::kNoVariation;  // of the difference on the mean of both: does it grow with size?
};

// kNoCases; kTooFewPatients: fewer than three. Requires equal lengths.
Estimable<LimitsOfAgreement> BlandAltman(absl::Span<const double> first, absl::Span<const double> second,
                                         double level = 0.95);

}  // namespace cloister::eval
