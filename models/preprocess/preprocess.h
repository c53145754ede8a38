#pragma once
// SPDX-License-Identifier: Apache-2.0
// From a decoded grey image to what a network sees: window, optional CLAHE, one shape for all. Training, validation and
// inference share this path; its digest is in the plan and on every prepared set.

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister::models {

// Already rescaled, larger = brighter on the displayed film (MONOCHROME1 inverted by the decoder). Row-major.
struct GrayImage {
  int rows = 0;
  int columns = 0;
  std::vector<float> pixels;  // rows * columns
};

enum class Window { kPercentile, kMinMax };
enum class Fit {
  kLetterbox,  // whole field, aspect kept, black borders
  kCrop,       // centre square, aspect kept, edges lost
  kStretch,    // whole field, aspect lost
};

struct PreprocessConfig {
  int rows = 128;
  int columns = 128;
  int channels = 1;  // 3 repeats the grey channel, for networks with an RGB stem
  Window window = Window::kPercentile;
  double low_percentile = 0.5;  // kPercentile: clipped to black and white
  double high_percentile = 99.5;
  Fit fit = Fit::kLetterbox;
  double clahe_clip_limit = 0;  // 0: no CLAHE. Else contrast-limited equalization on 8 x 8 tiles before resizing.
};

// INVALID_ARGUMENT: sizes outside 8..4096, channels not 1 or 3, percentiles not 0 <= low < high <= 100, clip limit
// negative or above 100.
absl::Status CheckPreprocessConfig(const PreprocessConfig& config);

// SHA-256 over every field and a version number of the algorithm: equal digests mean equal pixels for equal images.
Digest PreprocessDigest(const PreprocessConfig& config);

// uint8 [C, H, W], row-major. Deterministic. Area resampling when shrinking, bilinear when enlarging.
// INVALID_ARGUMENT: an empty, inconsistent or huge (> 2^28 pixels) image, a non-finite pixel, one grey value only
// ("blank"), or a bad `config`. Thread-safe.
absl::StatusOr<std::vector<uint8_t>> Preprocess(const GrayImage& image, const PreprocessConfig& config);

}  // namespace cloister::models
