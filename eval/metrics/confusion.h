#pragma once
// SPDX-License-Identifier: Apache-2.0
// The two-by-two table at a threshold, and the four ratios read off it. A score at or above the threshold is positive.

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

struct Confusion {
  uint64_t true_positives = 0;
  uint64_t false_negatives = 0;
  uint64_t true_negatives = 0;
  uint64_t false_positives = 0;

  uint64_t positives() const { return true_positives + false_negatives; }
  uint64_t negatives() const { return true_negatives + false_positives; }
  uint64_t total() const { return positives() + negatives(); }
};

Confusion CountConfusion(CaseSpan cases, double threshold);

Estimable<double> Sensitivity(const Confusion& table);  // TP / (TP + FN); kNoPositives
Estimable<double> Specificity(const Confusion& table);  // TN / (TN + FP); kNoNegatives
// PPV and NPV of one class alone would only say which class it is: kOneClass.
Estimable<double> Ppv(const Confusion& table);  // TP / (TP + FP); kNoCalls
Estimable<double> Npv(const Confusion& table);  // TN / (TN + FN); kNoCalls

// Share of alarms that are real where `prevalence` of the patients have the condition, by Bayes. `prevalence` in [0,
// 1]. kNoPositives, kNoNegatives; kNoCalls: it would never raise an alarm.
Estimable<double> PpvAtPrevalence(const Confusion& table, double prevalence);

}  // namespace cloister::eval
