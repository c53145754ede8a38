// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/dp_sgd.h"

#include <fmt/format.h>

#include <algorithm>

namespace cloister::privacy {

uint64_t StepsOfEpoch(uint64_t patients, uint64_t batch_size) {
  return patients / batch_size + (patients % batch_size > 0 ? 1 : 0);
}

absl::StatusOr<SampledGaussian> DpSgd(uint64_t patients, uint64_t batch_size, uint64_t epochs,
                                      double noise_multiplier) {
  if (patients == 0 || batch_size == 0 || epochs == 0) {
    return absl::InvalidArgumentError(
        fmt::format("{} patients, {} to a step, {} epochs: each must be at least 1", patients, batch_size, epochs));
  }
  SampledGaussian mechanism;
  mechanism.sampling_probability = std::min(1.0, static_cast<double>(batch_size) / static_cast<double>(patients));
  mechanism.noise_multiplier = noise_multiplier;
  const uint64_t steps = StepsOfEpoch(patients, batch_size);
  if (steps > kMaxSteps / epochs) {
    return absl::InvalidArgumentError(
        fmt::format("{} epochs of {} steps; there must be at most {} steps", epochs, steps, kMaxSteps));
  }
  mechanism.steps = steps * epochs;
  CLOISTER_RETURN_IF_ERROR(CheckSampledGaussian(mechanism));
  return mechanism;
}

}  // namespace cloister::privacy
