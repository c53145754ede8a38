#pragma once
// SPDX-License-Identifier: Apache-2.0
// The mean of group means that a few bad groups cannot pull away: coordinate-wise median or trimmed mean (Yin et al.
// 2018), over the means of groups of sites, each the result of a secure sum of its own. One liar spoils its group's
// mean; a rule that stands `Tolerated` bad groups keeps every coordinate within what the good ones say. Its privacy set
// is the group.

#include <absl/types/span.h>

#include "protocols/base/status.h"

namespace cloister::update {

struct RobustRule {
  enum class Kind { kMedian, kTrimmedMean };
  Kind kind = Kind::kMedian;
  size_t trimmed = 0;  // kTrimmedMean: so many groups at either end of a coordinate

  static constexpr size_t kLeastGroups = 3;

  // INVALID_ARGUMENT: fewer than kLeastGroups, or nothing left after trimming.
  absl::Status Check(size_t groups) const;
  // How many bad groups of `groups` it stands.
  size_t Tolerated(size_t groups) const;
};

// `means`: [group][D] float32, `out`: [D], or the same range of each. Exact order statistics in double, rounded once:
// the same bytes on every machine and for every order of the groups. INVALID_ARGUMENT: different sizes; also as Check.
// DATA_LOSS: a value that is not finite; names the group and the parameter.
absl::Status RobustMean(const RobustRule& rule, absl::Span<const absl::Span<const float>> means, absl::Span<float> out);

}  // namespace cloister::update
