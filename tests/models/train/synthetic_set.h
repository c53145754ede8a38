#pragma once
// SPDX-License-Identifier: Apache-2.0
// A tiny two-class set: bright upper half or bright lower half, with noise.

#include <cstdint>
#include <vector>

#include "models/random.h"
#include "models/trainer.h"

namespace cloister::models::testing {

struct SyntheticSet {
  explicit SyntheticSet(size_t images, int side = 32) {
    Random random({42, images});
    set.rows = set.columns = side;
    for (size_t i = 0; i < images; ++i) {
      const bool positive = i % 2 == 1;
      std::vector<uint8_t> image;
      for (int pixel = 0; pixel < side * side; ++pixel) {
        const bool bright = (pixel / side < side / 2) == positive;
        image.push_back(static_cast<uint8_t>((bright ? 150 : 60) + random.Below(50)));
      }
      pixels.push_back(std::move(image));
      set.labels.push_back(positive ? 1 : 0);
    }
    for (const auto& image : pixels) {
      set.images.push_back(image.data());
    }
  }
  SyntheticSet(const SyntheticSet&) = delete;
  SyntheticSet& operator=(const SyntheticSet&) = delete;

  std::vector<std::vector<uint8_t>> pixels;
  TrainingSet set;
};

}  // namespace cloister::models::testing
