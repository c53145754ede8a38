#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where a slice lies in the patient (PS3.3 C.7.6.2), and moving its pixels within its plane. Internal to ingest.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <array>
#include <optional>
#include <vector>

namespace cloister::site {

double Dot(const std::array<double, 3>& a, const std::array<double, 3>& b);
std::array<double, 3> Minus(const std::array<double, 3>& a, const std::array<double, 3>& b);

// ImageOrientationPatient: two unit vectors at a right angle, within 1 %.
bool IsOrientation(const std::vector<double>& values);

struct SlicePlane {
  std::array<double, 3> position_mm{};       // centre of the first pixel, LPS
  std::array<double, 3> column_direction{};  // from one column to the next
  std::array<double, 3> row_direction{};     // from one row to the next
  double row_spacing_mm = 0;
  double column_spacing_mm = 0;

  std::array<double, 3> normal() const;
};

// Nothing: position, orientation or pixel spacing is missing or makes no sense.
std::optional<SlicePlane> ReadSlicePlane(DcmDataset& data, int frame);

// plane[y, x] = plane[y - down, x - right] for fractional numbers of pixels, linearly interpolated; `outside` beyond
// the edge.
void ShiftPlane(float* plane, int rows, int columns, double down, double right, float outside);

}  // namespace cloister::site
