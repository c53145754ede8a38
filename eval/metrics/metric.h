#pragma once
// SPDX-License-Identifier: Apache-2.0
// The metrics by name, as gates and reports call them. A new metric is one file and one line in metric.cc.

#include <absl/types/span.h>

#include <string_view>

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"
#include "eval/metrics/weighted.h"

namespace cloister::eval {

struct Metric {
  std::string_view name;  // "sensitivity"
  bool higher_is_better;
  bool at_threshold;  // false: `threshold` is ignored
  Estimable<double> (*compute)(CaseSpan cases, double threshold);
  WeightedStatistic (*of_resamples)(const SortedCases& sorted, double threshold);  // the same, of resamples
};

absl::Span<const Metric> AllMetrics();

// nullptr: no such metric.
const Metric* FindMetric(std::string_view name);

}  // namespace cloister::eval
