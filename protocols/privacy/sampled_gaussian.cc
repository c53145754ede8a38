// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/sampled_gaussian.h"

#include <fmt/format.h>

namespace cloister::privacy {

// Every comparison is written so that NaN fails it.
absl::Status CheckSampledGaussian(const SampledGaussian& mechanism) {
  if (!(mechanism.sampling_probability >= 0 && mechanism.sampling_probability <= 1)) {
    return absl::InvalidArgumentError(
        fmt::format("sampling probability {}; it must be in [0, 1]", mechanism.sampling_probability));
  }
  if (!(mechanism.noise_multiplier >= kMinNoiseMultiplier && mechanism.noise_multiplier <= kMaxNoiseMultiplier)) {
    return absl::InvalidArgumentError(fmt::format("noise multiplier {}; it must be in [{}, {}]",
                                                  mechanism.noise_multiplier, kMinNoiseMultiplier,
                                                  kMaxNoiseMultiplier));
  }
  if (mechanism.steps == 0 || mechanism.steps > kMaxSteps) {
    return absl::InvalidArgumentError(fmt::format("{} steps; there must be 1 to {}", mechanism.steps, kMaxSteps));
  }
  return absl::OkStatus();
}

absl::Status CheckDelta(double delta) {
  if (delta > 0 && delta < 1) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("delta {}; it must be in (0, 1)", delta));
}

}  // namespace cloister::privacy
