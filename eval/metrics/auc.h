#pragma once
// SPDX-License-Identifier: Apache-2.0
// Area under the ROC curve as the Mann-Whitney statistic: P(score of a positive > score of a negative), ties one half.

#include <vector>

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

// The statistic in whole numbers: `doubled_wins` = 2 * (pairs that the positive wins) + ties, of `pairs` = positives *
// negatives.
struct PairWins {
  uint64_t doubled_wins = 0;
  uint64_t pairs = 0;
};
PairWins CountPairWins(CaseSpan cases);

// In [0, 1]. kNoCases; kOneClass: never 0.5. O(n log n).
Estimable<double> Auc(CaseSpan cases);

// 1-based ranks of `values`, ties sharing their mean rank, in the order of `values`. O(n log n).
std::vector<double> Midranks(absl::Span<const double> values);

}  // namespace cloister::eval
