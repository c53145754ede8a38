#pragma once
// SPDX-License-Identifier: Apache-2.0
// Seeded initial weights. Drawn from our own generator, tensor by tensor in name order, so that they depend neither on
// the number of threads nor on the LibTorch version.

#include <string>

#include "models/nets/network.h"
#include "protocols/base/status.h"

namespace cloister::models {

// "he_normal": convolution weights ~ N(0, 2 / fan_out) (He et al. 2015, as torchvision), linear weights ~ N(0, 1 /
// fan_in) because no rectifier follows them; normalisation weights 1; biases and running means 0; running variances 1.
// INVALID_ARGUMENT: another rule.
absl::Status InitializeWeights(Network& network, const std::string& rule, uint64_t seed);

}  // namespace cloister::models
