#pragma once
// SPDX-License-Identifier: Apache-2.0
// Turns one DICOM image file into grey pixels as a radiologist would see them, or into a rejection with a reason code.
// Runs in the sandboxed worker, never in the agent. Does not resample, crop or normalise: that is models/preprocess.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <variant>
#include <vector>

#include "site_agent/ingest/rejection.h"

namespace cloister::site {

struct PixelSpacing {
  double row_mm = 0;  // distance between the centres of vertically adjacent pixels
  double column_mm = 0;
  bool at_detector = false;  // from ImagerPixelSpacing: not corrected for magnification
};

struct DecodedImage {
  int rows = 0;
  int columns = 0;
  int bits_stored = 0;        // of the file, before any transform
  std::vector<float> pixels;  // [rows, columns]; see PixelValues
  std::optional<PixelSpacing> pixel_spacing;
  bool was_inverted = false;  // MONOCHROME1
  bool was_colour = false;    // converted to luma (BT.601)
};

enum class PixelValues {
  kDisplay,   // 0 black to 1 white, after modality LUT and VOI; MONOCHROME1 inverted
  kModality,  // after the modality LUT only (CT: HU), neither windowed nor inverted; colour: luma 0 to 255
};

struct DecodeOptions {
  PixelValues values = PixelValues::kDisplay;
  int frame = 0;
  // Replaces the file's own window (in modality units); only for kDisplay. Without one: the first window or VOI LUT of
  // the file, else minimum to maximum.
  struct Window {
    double center = 0;
    double width = 1;
  };
  std::optional<Window> window;
  int max_rows = 16384;
  int max_columns = 16384;
  uint64_t max_file_bytes = uint64_t{1} << 30;
};

// Never throws, never allocates more than a small multiple of the limits, whatever the file holds.
std::variant<DecodedImage, Rejection> DecodeGrayscale(const std::filesystem::path& path,
                                                      const DecodeOptions& options = {});

}  // namespace cloister::site
