#pragma once
// SPDX-License-Identifier: Apache-2.0
// Do the scores mean what they say? Brier score, log-loss, and expected calibration error with its bins.

#include <vector>

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

inline constexpr int kCalibrationBins = 15;

// Mean of (score - label)^2. kNoCases.
Estimable<double> Brier(CaseSpan cases);

// Mean of -log of the probability given to what happened, scores clipped to [1e-15, 1 - 1e-15]. kNoCases.
Estimable<double> LogLoss(CaseSpan cases);

struct CalibrationBin {
  uint64_t n = 0;
  uint64_t positives = 0;
  double mean_score = 0;  // 0 for an empty bin
  double observed() const { return n == 0 ? 0 : static_cast<double>(positives) / static_cast<double>(n); }
};

// Bins of equal width on [0, 1]; empty ones are kept.
std::vector<CalibrationBin> EqualWidthBins(CaseSpan cases, int bins = kCalibrationBins);
// Bins of (nearly) equal numbers of cases in order of score; equal scores stay together, so there may be fewer bins.
std::vector<CalibrationBin> EqualMassBins(CaseSpan cases, int bins = kCalibrationBins);

// Sum over bins of n_b / n * |observed_b - mean_score_b|. kNoCases.
Estimable<double> ExpectedCalibrationError(const std::vector<CalibrationBin>& bins);

}  // namespace cloister::eval
