// SPDX-License-Identifier: Apache-2.0
#include "eval/federated/operating_point.h"

#include <fmt/core.h>

#include <optional>
#include <tuple>

#include "eval/metrics/roc.h"

namespace cloister::eval {
namespace {

using Worth = std::tuple<uint64_t, uint64_t>;

// What a table with both classes is worth: the goal first, then the true positives. Whole numbers, so that ties are
// ties. nullopt: it misses the target.
std::optional<Worth> WorthOf(const Confusion& table, ThresholdRule rule, double target) {
  switch (rule) {
    case ThresholdRule::kYouden:  // (sensitivity + specificity) * positives * negatives
      return Worth(table.true_positives * table.negatives() + table.true_negatives * table.positives(),
                   table.true_positives);
    case ThresholdRule::kFixedSensitivity:
      if (*Sensitivity(table) < target) {
        return std::nullopt;
      }
      return Worth(table.true_negatives, table.true_positives);
    case ThresholdRule::kFixedSpecificity:
      if (*Specificity(table) < target) {
        return std::nullopt;
      }
      return Worth(table.true_positives, table.true_negatives);
  }
  return std::nullopt;
}

}  // namespace

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
  std::optional<Worth> best;
  int first = 0;  // of the run of bins with the best table; the table is monotone in the bin, so it is one run
  int last = 0;
  for (int bin = 0; bin < tuning.bins(); ++bin) {
    const auto value = WorthOf(tuning.TableAt(bin), rule, target);
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

Estimable<ChosenThreshold> ChooseThreshold(CaseSpan tuning, ThresholdRule rule, double target) {
  const std::vector<OperatingPoint> points = RocPoints(tuning);
  if (points.empty() || points.front().table.positives() == 0 || points.front().table.negatives() == 0) {
    return points.empty() ? Reason::kNoCases : Reason::kOneClass;
  }
  std::optional<Worth> best;
  size_t chosen = 0;
  for (size_t i = 1; i < points.size(); ++i) {  // falling thresholds, so that a later one has the higher sensitivity
    const std::optional<Worth> worth = WorthOf(points[i].table, rule, target);
    if (worth && (!best || *worth >= *best)) {
      best = worth;
      chosen = i;
    }
  }
  if (!best) {
    return Reason::kTargetNotReached;
  }
  const double score = points[chosen].threshold;
  const bool lowest = chosen + 1 == points.size();
  return ChosenThreshold{lowest ? score : 0.5 * (score + points[chosen + 1].threshold), points[chosen].table};
}

}  // namespace cloister::eval
