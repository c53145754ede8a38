#pragma once
// SPDX-License-Identifier: Apache-2.0
// Intervals of a proportion k of n independent patients.

#include <cstdint>

#include "eval/metrics/estimate.h"

namespace cloister::eval {

// Wilson's score interval, the default for sensitivity and its relatives. kNoCases: n is 0. Requires k <= n.
Estimable<Estimate> Wilson(uint64_t k, uint64_t n, double level = 0.95);

// Clopper and Pearson's exact interval, for regulators. kNoCases: n is 0. Requires k <= n.
Estimable<Estimate> ClopperPearson(uint64_t k, uint64_t n, double level = 0.95);

// Two classifiers on the same patients: right with both, the first only, the second only, neither.
struct PairedCounts {
  uint64_t both = 0;
  uint64_t only_first = 0;
  uint64_t only_second = 0;
  uint64_t neither = 0;

  uint64_t n() const { return both + only_first + only_second + neither; }
};

// Share right with the first minus share right with the second. Newcombe's method 10 (Statist. Med. 1998): keeps a
// width where the two never disagree. kNoCases.
Estimable<Estimate> PairedProportionDifference(const PairedCounts& counts, double level = 0.95);

}  // namespace cloister::eval
