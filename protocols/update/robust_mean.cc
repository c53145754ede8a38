// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/robust_mean.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace cloister::update {

absl::Status RobustRule::Check(size_t groups) const {
  if (groups < kLeastGroups) {
    return absl::InvalidArgumentError(fmt::format("{} groups; a robust mean needs {}", groups, kLeastGroups));
  }
  if (kind == Kind::kTrimmedMean && trimmed > (groups - 1) / 2) {
    return absl::InvalidArgumentError(
        fmt::format("{} of {} groups trimmed at either end leaves none", trimmed, groups));
  }
  return absl::OkStatus();
}

size_t RobustRule::Tolerated(size_t groups) const {
  if (!Check(groups).ok()) return 0;
  return kind == Kind::kMedian ? (groups - 1) / 2 : trimmed;
}

absl::Status RobustMean(const RobustRule& rule, absl::Span<const absl::Span<const float>> means,
                        absl::Span<float> out) {
  CLOISTER_RETURN_IF_ERROR(rule.Check(means.size()));
  for (const absl::Span<const float>& mean : means) {
    if (mean.size() != out.size()) {
      return absl::InvalidArgumentError(fmt::format("a group's mean of {} values for {}", mean.size(), out.size()));
    }
  }
  // The median is what is left of most trimming: one value, or the mean of two.
  const size_t cut = rule.kind == RobustRule::Kind::kMedian ? (means.size() - 1) / 2 : rule.trimmed;
  const size_t kept = means.size() - 2 * cut;
  std::vector<double> values(means.size());
  for (size_t i = 0; i < out.size(); ++i) {
    for (size_t group = 0; group < means.size(); ++group) {
      if (!std::isfinite(means[group][i])) {
        return absl::DataLossError(fmt::format("parameter {} of group {} is not finite", i, group));
      }
      values[group] = static_cast<double>(means[group][i]) + 0.0;  // one zero only, so that ties are equal bits
    }
    std::sort(values.begin(), values.end());
    double sum = 0;
    for (size_t at = cut; at < cut + kept; ++at) sum += values[at];
    out[i] = static_cast<float>(sum / static_cast<double>(kept));
  }
  return absl::OkStatus();
}

}  // namespace cloister::update
