// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/decision_curve.h"

#include "eval/metrics/confusion.h"

namespace cloister::eval {

std::vector<NetBenefit> DecisionCurve(CaseSpan cases, int points) {
  std::vector<NetBenefit> curve;
  const double n = static_cast<double>(cases.size());
  for (int i = 1; i < points && !cases.empty(); ++i) {
    const double threshold = static_cast<double>(i) / points;
    const double odds = threshold / (1 - threshold);
    const Confusion table = CountConfusion(cases, threshold);
    const double prevalence = static_cast<double>(table.positives()) / n;
    curve.push_back(
        {threshold,
         static_cast<double>(table.true_positives) / n - static_cast<double>(table.false_positives) / n * odds,
         prevalence - (1 - prevalence) * odds});
  }
  return curve;
}

}  // namespace cloister::eval
