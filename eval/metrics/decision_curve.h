#pragma once
// SPDX-License-Identifier: Apache-2.0
// Decision curve (Vickers and Elkin 2006): is acting on the model better than treating everybody or nobody?

#include <vector>

#include "eval/metrics/case.h"

namespace cloister::eval {

struct NetBenefit {
  double threshold = 0;  // probability at which one would act, in (0, 1)
  double model = 0;      // TP/n - FP/n * t/(1-t)
  double treat_all = 0;  // prevalence - (1 - prevalence) * t/(1-t)
};                       // treating nobody is 0

// At 1/points, 2/points, ... (points - 1)/points. Empty for no cases.
std::vector<NetBenefit> DecisionCurve(CaseSpan cases, int points = 100);

}  // namespace cloister::eval
