#pragma once
// SPDX-License-Identifier: Apache-2.0
// From members' probabilities to one score and one decision. No tensors, no files.

#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::models {

enum class Combiner {
  kMeanProbability,  // mean of the members' probabilities
  kMeanLogit,        // logistic function of the mean logit (geometric mean of the odds)
};

// INVALID_ARGUMENT: not "mean_probability" or "mean_logit".
absl::StatusOr<Combiner> ParseCombiner(std::string_view name);
std::string_view CombinerName(Combiner combiner);

// `members` [M][N]: one probability per member and case. Returns [N].
// INVALID_ARGUMENT: no member, unequal lengths, or a value outside 0..1 (NaN included; member and case are named).
absl::StatusOr<std::vector<double>> Combine(const std::vector<std::vector<double>>& members, Combiner combiner);

// The one rule everywhere: a score equal to the operating point is positive.
inline bool IsPositive(double score, double operating_point) {
  return score >= operating_point;
}

}  // namespace cloister::models
