#pragma once
// SPDX-License-Identifier: Apache-2.0
// A predicted mask beside the reference mask of one case: overlap, and how far their surfaces lie apart in millimetres.
//
// Empty masks. Both empty: the model is right, Dice 1, distance 0, surface Dice 1. One of them empty: Dice 0, surface
// Dice 0, and as distance the diagonal of the volume. Leaving such cases out, as means over what is defined do,
// flatters a model that misses.

#include <array>
#include <cstdint>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::eval {

// Voxels [z][y][x]; not 0: inside. One slice is a volume of depth 1.
struct Mask {
  std::array<uint32_t, 3> size = {0, 0, 0};      // x, y, z
  std::array<double, 3> spacing_mm = {1, 1, 1};  // x, y, z
  std::vector<uint8_t> voxels;

  uint64_t count() const;
};

struct Overlap {
  double dice = 0;
  double hd95_mm = 0;       // the larger of both directions' 95th percentiles (linear between order statistics)
  double surface_dice = 0;  // share of both surfaces within the tolerance of the other
  bool reference_empty = false;
  bool predicted_empty = false;
};

// A surface voxel is one inside with a face neighbour outside; the border of the volume is outside. Distances are
// exact, between centres of voxels. INVALID_ARGUMENT: sizes or spacings that differ, or do not fit the voxels.
absl::StatusOr<Overlap> CompareMasks(const Mask& reference, const Mask& predicted, double tolerance_mm);

// Squared distance in mm^2 of every voxel to the nearest one in `seeds` (not 0), exact (Felzenszwalb and Huttenlocher
// 2012); infinity where there is no seed.
std::vector<double> SquaredDistances(const Mask& seeds);

}  // namespace cloister::eval
