#pragma once
// SPDX-License-Identifier: Apache-2.0
// The threshold, chosen on the tuning split only, from histograms summed over sites. What it reaches there is
// optimistic: it is reported from the held-out patients.

#include <string_view>

#include "eval/federated/score_histogram.h"

namespace cloister::eval {

enum class ThresholdRule {
  kYouden,            // greatest sensitivity + specificity - 1
  kFixedSensitivity,  // greatest specificity with sensitivity >= target
  kFixedSpecificity,  // greatest sensitivity with specificity >= target
};

// "youden", "sensitivity", "specificity". INVALID_ARGUMENT: another word.
absl::StatusOr<ThresholdRule> ParseThresholdRule(std::string_view word);

struct ChosenThreshold {
  double threshold = 0;  // a bin edge; a score at or above it is positive
  Confusion tuning;      // what it gave on the tuning split
};

// Ties go to the higher sensitivity, and among thresholds with the same table to the middle one. `target` in (0, 1] is
// not used by kYouden. kOneClass; kTargetNotReached.
Estimable<ChosenThreshold> ChooseThreshold(const ScoreHistogram& tuning, ThresholdRule rule, double target);

// The same from the scores themselves, where they are at hand: the threshold lies halfway between the lowest score
// called and the next one below it, as pROC's coords has it. Ties go to the higher sensitivity.
Estimable<ChosenThreshold> ChooseThreshold(CaseSpan tuning, ThresholdRule rule, double target);

}  // namespace cloister::eval
