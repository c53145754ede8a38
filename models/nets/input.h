#pragma once
// SPDX-License-Identifier: Apache-2.0
// From prepared uint8 images to the tensor every network of ours sees. Part of the contract of our weights: whoever
// opens them elsewhere normalises the same way.

#include <torch/torch.h>

#include <cstdint>

namespace cloister::models {

constexpr float kInputMean = 0.5F;
constexpr float kInputDeviation = 0.25F;

// `pixels`: uint8 [N, C, H, W]. Returns float32 [N, C, H, W] = (pixel / 255 - 0.5) / 0.25.
inline torch::Tensor MakeInput(const uint8_t* pixels, int64_t n, int64_t channels, int64_t rows, int64_t columns) {
  torch::Tensor input = torch::empty({n, channels, rows, columns}, torch::kFloat32);
  float* out = input.data_ptr<float>();
  for (int64_t i = 0; i < input.numel(); ++i) {
    out[i] = (static_cast<float>(pixels[i]) / 255.0F - kInputMean) / kInputDeviation;
  }
  return input;
}

}  // namespace cloister::models
