#pragma once
// SPDX-License-Identifier: Apache-2.0
// The normalisation layers an architecture can be built with: over the batch, or over groups of channels of each image
// by itself. Both have a "weight" and a "bias" per channel; only the first keeps running statistics and mixes images.

#include <torch/torch.h>

#include <algorithm>

namespace cloister::models {

template <typename Norm>
Norm MakeNorm(int64_t channels);

template <>
inline torch::nn::BatchNorm2d MakeNorm(int64_t channels) {
  return torch::nn::BatchNorm2d(channels);
}

// Wu and He 2018: 32 groups, and at least two channels in each.
template <>
inline torch::nn::GroupNorm MakeNorm(int64_t channels) {
  return torch::nn::GroupNorm(torch::nn::GroupNormOptions(std::min<int64_t>(32, channels / 2), channels));
}

}  // namespace cloister::models
