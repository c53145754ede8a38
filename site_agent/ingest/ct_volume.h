#pragma once
// SPDX-License-Identifier: Apache-2.0
// The slices of a CT series, or the frames of an enhanced CT, as one volume in Hounsfield units. What is no slice of it
// (localisers, reformats, dose pages, repeats) is left out with a code; a volume whose slices do not lie where a volume
// has them is refused. Runs in the worker. Does not resample through planes: that is preprocessing.

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "site_agent/ingest/dicom_image.h"

namespace cloister::site {

struct CtVolume {
  int slices = 0;
  int rows = 0;
  int columns = 0;
  double slice_spacing_mm = 0;  // along the normal, over the whole series
  double row_spacing_mm = 0;    // between rows
  double column_spacing_mm = 0;
  std::array<double, 3> origin_mm{};         // centre of the first voxel, patient coordinates (LPS)
  std::array<double, 3> column_direction{};  // from one column to the next
  std::array<double, 3> row_direction{};     // from one row to the next
  std::array<double, 3> normal{};            // from one slice to the next
  std::vector<float> hu;                     // [slices, rows, columns]; PixelPaddingValue is -1024
  double gantry_tilt_degrees = 0;            // undone: each slice was moved in its plane, linearly interpolated
};

// Why an instance or frame is not part of the volume.
struct LeftOut {
  size_t file = 0;  // index into the files
  int frame = 0;
  // A RejectReasonName, or NOT_CT, LOCALIZER, REFORMATTED, NOT_A_SLICE (dose page, screen), NO_POSITION,
  // OTHER_ORIENTATION, OTHER_GRID (size or pixel spacing), OTHER_SERIES, DUPLICATE_SLICE.
  std::string code;
};

// Why there is no volume.
struct SeriesRefusal {
  // NO_SLICES, TOO_FEW_SLICES (below 3), SLICE_GAP, IRREGULAR_SPACING, CONFLICTING_SLICES (two different pictures at
  // one position), TOO_LARGE, UNREADABLE.
  std::string code;
  std::string message;
};

struct CtSeries {
  std::variant<SeriesRefusal, CtVolume> volume;
  std::vector<LeftOut> left_out;
};

// Slices are those of the largest group that has one series, orientation and grid, in the order of their positions
// along the normal. Distances may differ from the mean by 5 % or 0.05 mm. Never throws.
CtSeries LoadCtSeries(const std::vector<std::filesystem::path>& files);

}  // namespace cloister::site
