// SPDX-License-Identifier: Apache-2.0
// Combiners.

#include "models/ensemble/ensemble.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cloister::models {
namespace {

// Keeps a saturated member from deciding alone.
constexpr double kLeastOdds = 1e-7;

double Logit(double probability) {
  const double p = std::clamp(probability, kLeastOdds, 1 - kLeastOdds);
  return std::log(p / (1 - p));
}

absl::Status CheckMembers(const std::vector<std::vector<double>>& members) {
  if (members.empty()) {
    return absl::InvalidArgumentError("ensemble: it has no member");
  }
  for (size_t m = 0; m < members.size(); ++m) {
    if (members[m].size() != members[0].size()) {
      return absl::InvalidArgumentError(
          fmt::format("ensemble: member {} has {} scores, member 0 has {}", m, members[m].size(), members[0].size()));
    }
    for (size_t i = 0; i < members[m].size(); ++i) {
      if (!(members[m][i] >= 0 && members[m][i] <= 1)) {
        return absl::InvalidArgumentError(fmt::format("ensemble: member {}, case {}: not a probability", m, i));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Combiner> ParseCombiner(std::string_view name) {
  for (Combiner combiner : {Combiner::kMeanProbability, Combiner::kMeanLogit}) {
    if (name == CombinerName(combiner)) {
      return combiner;
    }
  }
  return absl::InvalidArgumentError(fmt::format("combiner: unknown '{}'; allowed: mean_probability, mean_logit", name));
}

std::string_view CombinerName(Combiner combiner) {
  return combiner == Combiner::kMeanLogit ? "mean_logit" : "mean_probability";
}

absl::StatusOr<std::vector<double>> Combine(const std::vector<std::vector<double>>& members, Combiner combiner) {
  CLOISTER_RETURN_IF_ERROR(CheckMembers(members));
  std::vector<double> scores(members[0].size());
  for (size_t i = 0; i < scores.size(); ++i) {
    double sum = 0;
    for (const std::vector<double>& member : members) {
      sum += combiner == Combiner::kMeanLogit ? Logit(member[i]) : member[i];
    }
    const double mean = sum / static_cast<double>(members.size());
    scores[i] = combiner == Combiner::kMeanLogit ? 1 / (1 + std::exp(-mean)) : mean;
  }
  return scores;
}

}  // namespace cloister::models
