#pragma once
// SPDX-License-Identifier: Apache-2.0
// How a training with differential privacy samples its patients: one rule for the training that follows it
// (models/train) and for the accountant.

#include <cstdint>

#include "protocols/privacy/sampled_gaussian.h"

namespace cloister::privacy {

// Steps of one epoch: enough that a patient is expected in one of them, ceil(patients / batch_size). Both at least 1.
uint64_t StepsOfEpoch(uint64_t patients, uint64_t batch_size);

// `epochs` epochs over `patients` patients, each of whom is in a step with the probability min(1, batch_size /
// patients). INVALID_ARGUMENT: no patients, batch_size or epochs; codes of CheckSampledGaussian.
absl::StatusOr<SampledGaussian> DpSgd(uint64_t patients, uint64_t batch_size, uint64_t epochs, double noise_multiplier);

}  // namespace cloister::privacy
