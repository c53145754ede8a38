#pragma once
// SPDX-License-Identifier: Apache-2.0
// The aSAH data set of the R package pROC 1.18.0 (Turck et al. 2010, 113 patients with aneurysmal subarachnoid
// haemorrhage, published with the package): outcome (poor = positive) and two predictors. Scores are divided by
// constants to fit [0, 1], which changes no rank.

#include <vector>

#include "eval/metrics/case.h"

namespace cloister::eval::testing {

inline constexpr int kAsahOutcome[] = {
    0, 0, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0,
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 0,
    0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0};
inline constexpr double kAsahS100b[] = {
    0.13, 0.14, 0.1,  0.04, 0.13, 0.1,  0.47, 0.16, 0.18, 0.1,  0.12, 0.1,  0.44, 0.71, 0.04, 0.08, 0.49, 0.04, 0.07,
    0.33, 0.09, 0.09, 0.07, 0.11, 0.07, 0.17, 0.07, 0.11, 0.13, 0.19, 0.05, 0.16, 0.41, 0.14, 0.34, 0.35, 0.48, 0.09,
    0.96, 0.25, 0.5,  0.46, 0.16, 0.07, 0.43, 0.45, 0.11, 0.08, 0.09, 0.86, 0.52, 0.08, 0.06, 0.13, 2.07, 0.1,  0.14,
    0.15, 0.07, 0.06, 0.77, 0.05, 0.09, 0.3,  0.03, 0.09, 0.04, 0.23, 0.7,  0.09, 0.27, 0.71, 0.08, 0.26, 0.08, 0.16,
    0.09, 0.13, 0.1,  0.08, 0.11, 0.33, 0.11, 0.28, 0.07, 0.1,  0.32, 0.22, 0.07, 0.05, 0.24, 0.38, 0.1,  0.15, 0.08,
    0.14, 0.1,  0.07, 0.04, 0.19, 0.56, 0.14, 0.58, 0.32, 0.82, 0.74, 0.15, 0.47, 0.17, 0.44, 0.15, 0.5,  0.48};
inline constexpr int kAsahWfns[] = {
    1, 1, 1, 1, 3, 2, 5, 4, 1, 2, 5, 2, 5, 5, 1, 2, 5, 2, 2, 5, 2, 1, 1, 1, 1, 2, 1, 2, 1, 1, 3, 4, 2, 1, 4, 5, 4, 1,
    4, 2, 5, 5, 1, 1, 2, 4, 1, 1, 2, 5, 5, 2, 1, 2, 5, 1, 2, 2, 2, 1, 5, 1, 1, 2, 5, 2, 1, 4, 5, 2, 4, 4, 1, 4, 1, 2,
    1, 4, 2, 1, 2, 3, 2, 4, 2, 1, 4, 5, 1, 1, 5, 4, 2, 2, 1, 1, 1, 3, 1, 2, 5, 2, 2, 5, 5, 5, 2, 4, 4, 5, 1, 1, 1};

inline Cases AsahS100b() {
  Cases cases;
  for (size_t i = 0; i < std::size(kAsahOutcome); ++i) {
    cases.push_back({static_cast<uint32_t>(i), kAsahOutcome[i] == 1, kAsahS100b[i] / 4});
  }
  return cases;
}

inline std::vector<double> AsahWfns() {
  std::vector<double> scores;
  for (int grade : kAsahWfns) {
    scores.push_back(grade / 5.0);
  }
  return scores;
}

}  // namespace cloister::eval::testing
