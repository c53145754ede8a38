#pragma once
// SPDX-License-Identifier: Apache-2.0
// ROC and precision-recall points, one per distinct score, and average precision.

#include <vector>

#include "eval/metrics/case.h"
#include "eval/metrics/confusion.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

// The table when every score >= `threshold` is called positive.
struct OperatingPoint {
  double threshold = 0;
  Confusion table;
};

// From "nothing is positive" (threshold infinity) to "everything is", one point per distinct score. Empty for no cases.
std::vector<OperatingPoint> RocPoints(CaseSpan cases);

// Sum of (R_i - R_{i-1}) P_i over falling thresholds: the step sum, not the trapezoid. kNoCases, kNoPositives.
Estimable<double> AveragePrecision(CaseSpan cases);

}  // namespace cloister::eval
