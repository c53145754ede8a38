// SPDX-License-Identifier: Apache-2.0
#include "site_agent/ingest/slice_geometry.h"

#include <algorithm>
#include <cmath>

#include "site_agent/ingest/functional_groups.h"

namespace cloister::site {

double Dot(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

std::array<double, 3> Minus(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}

bool IsOrientation(const std::vector<double>& values) {
  constexpr double kTolerance = 1e-2;  // decimal strings, and scanners that round
  if (values.size() != 6) {
    return false;
  }
  const std::array<double, 3> a = {values[0], values[1], values[2]};
  const std::array<double, 3> b = {values[3], values[4], values[5]};
  return std::abs(Dot(a, a) - 1) < kTolerance && std::abs(Dot(b, b) - 1) < kTolerance &&
         std::abs(Dot(a, b)) < kTolerance;
}

std::array<double, 3> SlicePlane::normal() const {
  const auto& a = column_direction;
  const auto& b = row_direction;
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

std::optional<SlicePlane> ReadSlicePlane(DcmDataset& data, int frame) {
  const std::vector<double> position =
      FiniteNumbers(MacroHolder(data, frame, DCM_PlanePositionSequence), DCM_ImagePositionPatient);
  const std::vector<double> orientation =
      FiniteNumbers(MacroHolder(data, frame, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient);
  const std::vector<double> spacing =
      FiniteNumbers(MacroHolder(data, frame, DCM_PixelMeasuresSequence), DCM_PixelSpacing);
  if (position.size() != 3 || !IsOrientation(orientation) || spacing.size() != 2 || !(spacing[0] > 0) ||
      !(spacing[1] > 0)) {
    return std::nullopt;
  }
  SlicePlane plane;
  std::copy_n(position.begin(), 3, plane.position_mm.begin());
  std::copy_n(orientation.begin(), 3, plane.column_direction.begin());
  std::copy_n(orientation.begin() + 3, 3, plane.row_direction.begin());
  plane.row_spacing_mm = spacing[0];
  plane.column_spacing_mm = spacing[1];
  return plane;
}

void ShiftPlane(float* plane, int rows, int columns, double down, double right, float outside) {
  const std::vector<float> source(plane, plane + static_cast<size_t>(rows) * static_cast<size_t>(columns));
  const auto at = [&](int y, int x) {
    return y < 0 || x < 0 || y >= rows || x >= columns
               ? outside
               : source[static_cast<size_t>(y) * static_cast<size_t>(columns) + static_cast<size_t>(x)];
  };
  const double from_y = -down;
  const double from_x = -right;
  // Beyond these numbers everything is outside; they also keep the integers in range.
  const int y0 = static_cast<int>(std::floor(std::clamp(from_y, -1.0 * rows - 1, 1.0 * rows + 1)));
  const int x0 = static_cast<int>(std::floor(std::clamp(from_x, -1.0 * columns - 1, 1.0 * columns + 1)));
  const auto v = static_cast<float>(from_y - std::floor(from_y));
  const auto u = static_cast<float>(from_x - std::floor(from_x));
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      const float upper = (1 - u) * at(y + y0, x + x0) + u * at(y + y0, x + x0 + 1);
      const float lower = (1 - u) * at(y + y0 + 1, x + x0) + u * at(y + y0 + 1, x + x0 + 1);
      plane[static_cast<size_t>(y) * static_cast<size_t>(columns) + static_cast<size_t>(x)] =
          (1 - v) * upper + v * lower;
    }
  }
}

}  // namespace cloister::site
