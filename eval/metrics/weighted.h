#pragma once
// SPDX-License-Identifier: Apache-2.0
// Metrics of a resample, without copying or sorting it: the cases are put in order of score once, a resample is how
// often each of them was drawn, and every metric is then one pass.

#include <absl/types/span.h>

#include <functional>
#include <vector>

#include "eval/metrics/case.h"
#include "eval/metrics/confusion.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

// How often a case was drawn. Of n patients drawn n times none is drawn 65,536 times: the chance is below 1e-250000.
using Weight = uint16_t;
using Weights = absl::Span<const Weight>;

// A number of a resample. Safe to call from several threads at once.
using WeightedStatistic = std::function<Estimable<double>(Weights)>;

// Cases by rising score; among equal scores those without the condition first.
class SortedCases {
 public:
  explicit SortedCases(CaseSpan cases);

  size_t size() const { return cases_.size(); }
  CaseSpan cases() const { return cases_; }
  // Where cases()[i] was in the span given.
  absl::Span<const uint32_t> order() const { return order_; }
  // Whether the next case has another score.
  bool EndsTie(size_t i) const { return i + 1 == cases_.size() || cases_[i + 1].score != cases_[i].score; }

 private:
  Cases cases_;
  std::vector<uint32_t> order_;
};

// Each as the function of the same name; weights are in the order of the sorted cases, and one per case.
WeightedStatistic WeightedAuc(const SortedCases& sorted);
WeightedStatistic WeightedAveragePrecision(const SortedCases& sorted);
WeightedStatistic WeightedBrier(const SortedCases& sorted);
WeightedStatistic WeightedLogLoss(const SortedCases& sorted);
WeightedStatistic WeightedEceEqualWidth(const SortedCases& sorted);
WeightedStatistic WeightedEceEqualMass(const SortedCases& sorted);

// sum w v / sum w. kNoCases: no weight at all.
WeightedStatistic WeightedMean(std::vector<double> values);

// A ratio read off the table at `threshold`.
WeightedStatistic WeightedTable(const SortedCases& sorted, double threshold,
                                std::function<Estimable<double>(const Confusion&)> ratio);

}  // namespace cloister::eval
