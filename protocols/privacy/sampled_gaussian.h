#pragma once
// SPDX-License-Identifier: Apache-2.0
// The mechanism that both accountants account for: the Poisson-sampled Gaussian, repeated. Its numbers and their
// limits; what they cost in privacy is in rdp_accountant.h and pld_accountant.h.

#include <cstdint>

#include "protocols/base/status.h"

namespace cloister::privacy {

// Noise outside this range is no mechanism anyone runs, and would only test the limits of the arithmetic.
inline constexpr double kMinNoiseMultiplier = 0.01;
inline constexpr double kMaxNoiseMultiplier = 1e6;
inline constexpr uint64_t kMaxSteps = uint64_t{1} << 24;  // per-step rounding errors stay below 1e-6 in epsilon

// Two data sets are neighbours when one is the other without one unit (a patient, or a site). In each step every unit
// takes part independently with the sampling probability; where the draw is not secret, that probability is 1.
struct SampledGaussian {
  double sampling_probability = 1;  // q, in [0, 1]
  double noise_multiplier = 0;      // standard deviation of the noise / L2 sensitivity to one unit
  uint64_t steps = 0;               // T, at least 1
};

// INVALID_ARGUMENT: a number outside its range or not finite.
absl::Status CheckSampledGaussian(const SampledGaussian& mechanism);
// INVALID_ARGUMENT: not in (0, 1).
absl::Status CheckDelta(double delta);

}  // namespace cloister::privacy
