// SPDX-License-Identifier: Apache-2.0
#include "eval/federated/operating_point.h"

#include <fmt/core.h>

#include <optional>
#include <tuple>

namespace cloister::eval {

absl::StatusOr<ThresholdRule> ParseThresholdRule(std::string_view word) {
  if (word == "youden") {
    return ThresholdRule::kYouden;
  }
  if (word == "sensitivity") {
    return ThresholdRule::kFixedSensitivity;
  }
  if (word == "specificity") {
    return ThresholdRule::kFixedSpecificity;
  }
  return absl::InvalidArgumentError(
      fmt::format("operating point rule \"{}\"; allowed: youden, sensitivity, specificity", word));
}

Estimable<ChosenThreshold> ChooseThreshold(const ScoreHistogram& tuning, ThresholdRule rule, double target) {
  if (tuning.positives() == 0 || tuning.negatives() == 0) {
    return Reason::kOneClass;
  }
  // What a table is worth: the goal first, then the true positives. Whole numbers, so that ties are ties.
  auto worth = [&](const Confusion& table) -> std::optional<std::tuple<uint64_t, uint64_t>> {
    switch (rule) {
      case ThresholdRule::kYouden:  // (sensitivity + specificity) * positives * negatives
        return std::tuple(table.true_positives * table.negatives() + table.true_negatives * table.positives(),
                          table.true_positives);
      case ThresholdRule::kFixedSensitivity:
        if (*Sensitivity(table) < target) {
          return std::nullopt;
        }
        return std::tuple(table.true_negatives, table.true_positives);
      case ThresholdRule::kFixedSpecificity:
        if (*Specificity(table) < target) {
          return std::nullopt;
        }
        return std::tuple(table.true_positives, table.true_negatives);
    }
    return std::nullopt;
  };
  std::optional<std::tuple<uint64_t, uint64_t>> best;
  int first = 0;  // of the run of bins with the best table; the table is monotone in the bin, so it is one run
  int last = 0;
  for (int bin = 0; bin < tuning.bins(); ++bin) {
    const auto value = worth(tuning.TableAt(bin));
    if (!value || (best && *value < *best)) {
      continue;
    }
    if (!best || *value > *best) {
      best = value;
      first = bin;
    }
    last = bin;
  }
  if (!best) {
    return Reason::kTargetNotReached;
  }
  const int middle = first + (last - first) / 2;
  return ChosenThreshold{tuning.Edge(middle), tuning.TableAt(middle)};
}

}  // namespace cloister::eval
