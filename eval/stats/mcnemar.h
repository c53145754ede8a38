#pragma once
// SPDX-License-Identifier: Apache-2.0
// McNemar's exact test of two classifiers on the same patients.

#include <cstdint>

namespace cloister::eval {

// Two-sided p-value: `only_first` patients are right with the first model only, `only_second` with the second only.
// 1 when they never disagree.
double McNemarExact(uint64_t only_first, uint64_t only_second);

}  // namespace cloister::eval
