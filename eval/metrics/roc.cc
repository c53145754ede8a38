// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/roc.h"

#include <algorithm>
#include <limits>

namespace cloister::eval {

std::vector<OperatingPoint> RocPoints(CaseSpan cases) {
  if (cases.empty()) {
    return {};
  }
  std::vector<std::pair<double, bool>> sorted;
  sorted.reserve(cases.size());
  Confusion table;
  for (const Case& one : cases) {
    sorted.emplace_back(one.score, one.label);
    ++(one.label ? table.false_negatives : table.true_negatives);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<OperatingPoint> points = {{std::numeric_limits<double>::infinity(), table}};
  for (const auto& [score, label] : sorted) {
    if (score != points.back().threshold) {
      points.push_back({score, table});
    }
    ++(label ? table.true_positives : table.false_positives);
    --(label ? table.false_negatives : table.true_negatives);
    points.back().table = table;
  }
  return points;
}

Estimable<double> AveragePrecision(CaseSpan cases) {
  const std::vector<OperatingPoint> points = RocPoints(cases);
  if (points.empty()) {
    return Reason::kNoCases;
  }
  const double positives = static_cast<double>(points.front().table.positives());
  if (positives == 0) {
    return Reason::kNoPositives;
  }
  double sum = 0;
  for (size_t i = 1; i < points.size(); ++i) {
    const Confusion& table = points[i].table;
    const double gained = static_cast<double>(table.true_positives - points[i - 1].table.true_positives);
    sum += gained / positives * static_cast<double>(table.true_positives) /
           static_cast<double>(table.true_positives + table.false_positives);
  }
  return sum;
}

}  // namespace cloister::eval
