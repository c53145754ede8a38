#pragma once
// SPDX-License-Identifier: Apache-2.0
// Holm's correction (1979) for asking several questions of the same patients.

#include <absl/types/span.h>

#include <vector>

namespace cloister::eval {

// Each p-value, in the order given, as it counts beside the others: at most 1, never below the p-value itself.
std::vector<double> Holm(absl::Span<const double> p_values);

}  // namespace cloister::eval
