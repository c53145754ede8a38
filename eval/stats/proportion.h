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

}  // namespace cloister::eval
