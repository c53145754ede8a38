#pragma once
// SPDX-License-Identifier: Apache-2.0
// The weight of one site in a round: omega = min(samples, cap) / cap, held as the exact integer omega * 2^32 that also
// travels in the counters vector, so that the divisor of the mean is exactly the sum of what was multiplied in.

#include <cstdint>

#include "protocols/base/status.h"

namespace cloister::update {

class Weight {
 public:
  static constexpr uint64_t kOne = uint64_t{1} << 32;  // omega = 1

  Weight() = default;  // omega = 1
  // INVALID_ARGUMENT: `samples` or `cap` is 0, or `cap` is above 2^31.
  static absl::StatusOr<Weight> FromSamples(uint64_t samples, uint64_t cap);

  uint64_t fixed() const { return fixed_; }                            // omega * 2^32, in [1, 2^32]
  double omega() const { return static_cast<double>(fixed_) / kOne; }  // exact

 private:
  explicit Weight(uint64_t fixed) : fixed_(fixed) {}
  uint64_t fixed_ = kOne;
};

// The sum of omega that the summed `fixed()` of the survivors stands for. Exact below 2^53, that is 2^21 sites.
inline double SumOfOmega(uint64_t summed_fixed) {
  return static_cast<double>(summed_fixed) / Weight::kOne;
}

}  // namespace cloister::update
