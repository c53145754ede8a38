#pragma once
// SPDX-License-Identifier: Apache-2.0
// Small random changes of training images: shift, rotation, scale, flip, contrast and brightness in one resampling.

#include <cstddef>
#include <cstdint>

#include "models/random.h"

namespace cloister::models {

struct AugmentConfig {
  double max_shift = 0.05;       // of the image side
  double max_rotate_deg = 7;     //
  double max_scale = 0.10;       // factor in [1 - x, 1 + x]
  double max_contrast = 0.15;    // factor in [1 - x, 1 + x] around mid grey
  double max_brightness = 0.06;  // of the full range
  bool flip_horizontal = false;  // never where a side matters: a chest has its heart on the left
};

// Augments one uint8 [C, H, W] image from `input` to `output` (not the same memory), borders black. The result depends
// only on the arguments and the state of `random`. Thread-safe for separate `random`s.
void Augment(const uint8_t* input, uint8_t* output, int channels, int rows, int columns, const AugmentConfig& config,
             Random& random);

}  // namespace cloister::models
