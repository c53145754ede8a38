// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/weight.h"

#include <fmt/format.h>

#include <algorithm>

namespace cloister::update {

absl::StatusOr<Weight> Weight::FromSamples(uint64_t samples, uint64_t cap) {
  if (samples == 0) return absl::InvalidArgumentError("a site without samples has no weight");
  if (cap == 0 || cap > uint64_t{1} << 31) {
    return absl::InvalidArgumentError(fmt::format("weight cap {}; it must be in [1, 2^31]", cap));
  }
  return Weight(std::min(samples, cap) * kOne / cap);
}

}  // namespace cloister::update
