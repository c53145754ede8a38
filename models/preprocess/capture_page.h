#pragma once
// SPDX-License-Identifier: Apache-2.0
// The page a radiologist sees as a Secondary Capture: the film on the left, the result card on the right.

#include <cstdint>
#include <string>
#include <vector>

#include "models/preprocess/preprocess.h"
#include "protocols/base/status.h"

namespace cloister::models {

// Text is ASCII: any other character is drawn as '?'.
struct CaptureContent {
  std::string title;             // "Chest pneumonia"
  double score = 0;              // probability, 0..1
  double operating_point = 0.5;  // 0..1; score >= operating_point is positive
  std::string positive_text = "Positive";
  std::string negative_text = "Negative";
  std::vector<std::string> lines;  // below the score: model, version, site, time
  std::string banner = "AI result - not verified by a physician";
};

struct RgbImage {
  int rows = 0;
  int columns = 0;
  std::vector<uint8_t> pixels;  // [rows, columns, 3]
};

// An 800 x 1024 (rows x columns) page. Deterministic.
// INVALID_ARGUMENT: as Preprocess for `film`; score or operating point outside 0..1.
absl::StatusOr<RgbImage> RenderCapturePage(const GrayImage& film, const CaptureContent& content);

}  // namespace cloister::models
