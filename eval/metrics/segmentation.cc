// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/segmentation.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cloister::eval {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

uint64_t Volume(const Mask& mask) {
  return uint64_t{mask.size[0]} * mask.size[1] * mask.size[2];
}

bool Inside(const Mask& mask, int64_t x, int64_t y, int64_t z) {
  if (x < 0 || y < 0 || z < 0 || x >= mask.size[0] || y >= mask.size[1] || z >= mask.size[2]) {
    return false;
  }
  return mask.voxels[(static_cast<uint64_t>(z) * mask.size[1] + y) * mask.size[0] + x] != 0;
}

// A flat image has no neighbours above and below that could be outside.
Mask Surface(const Mask& mask) {
  Mask surface = mask;
  const bool flat = mask.size[2] == 1;
  uint64_t at = 0;
  for (int64_t z = 0; z < mask.size[2]; ++z) {
    for (int64_t y = 0; y < mask.size[1]; ++y) {
      for (int64_t x = 0; x < mask.size[0]; ++x, ++at) {
        const bool within = Inside(mask, x - 1, y, z) && Inside(mask, x + 1, y, z) && Inside(mask, x, y - 1, z) &&
                            Inside(mask, x, y + 1, z) &&
                            (flat || (Inside(mask, x, y, z - 1) && Inside(mask, x, y, z + 1)));
        surface.voxels[at] = mask.voxels[at] != 0 && !within ? 1 : 0;
      }
    }
  }
  return surface;
}

// The lower envelope of parabolas along one line of `count` values that lie `stride` apart.
class Line {
 public:
  explicit Line(size_t longest) : height_(longest), apex_(longest), from_(longest + 1) {}

  void Transform(double* values, size_t count, size_t stride, double spacing) {
    size_t parabolas = 0;
    for (size_t i = 0; i < count; ++i) {
      height_[i] = values[i * stride];
      if (height_[i] == kFar) {
        continue;
      }
      double begin = -kFar;
      while (parabolas > 0) {
        begin = Crossing(apex_[parabolas - 1], i, spacing);
        if (begin > from_[parabolas - 1]) {
          break;
        }
        --parabolas;
        begin = -kFar;
      }
      apex_[parabolas] = i;
      from_[parabolas++] = begin;
    }
    size_t best = 0;
    for (size_t i = 0; i < count && parabolas > 0; ++i) {
      const double place = spacing * static_cast<double>(i);
      while (best + 1 < parabolas && from_[best + 1] < place) {
        ++best;
      }
      const double apart = place - spacing * static_cast<double>(apex_[best]);
      values[i * stride] = apart * apart + height_[apex_[best]];
    }
  }

 private:
  // Where the parabola of the later apex j becomes the lower one.
  double Crossing(size_t i, size_t j, double spacing) const {
    const double a = spacing * static_cast<double>(i);
    const double b = spacing * static_cast<double>(j);
    return ((height_[j] + b * b) - (height_[i] + a * a)) / (2 * (b - a));
  }

  std::vector<double> height_;
  std::vector<size_t> apex_;
  std::vector<double> from_;
};

// The distances from each voxel of `from` to the nearest of `to`.
std::vector<double> DistancesBetween(const Mask& from, const Mask& to) {
  const std::vector<double> squared = SquaredDistances(to);
  std::vector<double> distances;
  for (size_t i = 0; i < from.voxels.size(); ++i) {
    if (from.voxels[i] != 0) {
      distances.push_back(std::sqrt(squared[i]));
    }
  }
  std::sort(distances.begin(), distances.end());
  return distances;
}

double Percentile95(const std::vector<double>& sorted) {
  const double place = 0.95 * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double Diagonal(const Mask& mask) {
  double squares = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const double length = mask.spacing_mm[axis] * (static_cast<double>(mask.size[axis]) - 1);
    squares += length * length;
  }
  return std::sqrt(squares);
}

absl::Status CheckMasks(const Mask& reference, const Mask& predicted) {
  if (reference.size != predicted.size) {
    return absl::InvalidArgumentError("the masks have different sizes");
  }
  for (int axis = 0; axis < 3; ++axis) {
    const double spacing = reference.spacing_mm[axis];
    if (!(spacing > 0) || std::abs(spacing - predicted.spacing_mm[axis]) > 1e-4 * spacing) {
      return absl::InvalidArgumentError("the masks have different voxel spacings, or one that is not above 0");
    }
  }
  if (Volume(reference) == 0 || reference.voxels.size() != Volume(reference) ||
      predicted.voxels.size() != Volume(predicted)) {
    return absl::InvalidArgumentError("a mask has no voxels, or not as many as its size says");
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t Mask::count() const {
  return voxels.size() - static_cast<uint64_t>(std::count(voxels.begin(), voxels.end(), 0));
}

std::vector<double> SquaredDistances(const Mask& seeds) {
  const size_t nx = seeds.size[0];
  const size_t ny = seeds.size[1];
  const size_t nz = seeds.size[2];
  std::vector<double> values(seeds.voxels.size());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = seeds.voxels[i] != 0 ? 0 : kFar;
  }
  Line line(std::max({nx, ny, nz}));
  for (size_t i = 0; i < ny * nz; ++i) {
    line.Transform(&values[i * nx], nx, 1, seeds.spacing_mm[0]);
  }
  for (size_t z = 0; z < nz; ++z) {
    for (size_t x = 0; x < nx; ++x) {
      line.Transform(&values[z * ny * nx + x], ny, nx, seeds.spacing_mm[1]);
    }
  }
  for (size_t i = 0; i < ny * nx && nz > 1; ++i) {
    line.Transform(&values[i], nz, ny * nx, seeds.spacing_mm[2]);
  }
  return values;
}

absl::StatusOr<Overlap> CompareMasks(const Mask& reference, const Mask& predicted, double tolerance_mm) {
  CLOISTER_RETURN_IF_ERROR(CheckMasks(reference, predicted));
  const uint64_t in_reference = reference.count();
  const uint64_t in_predicted = predicted.count();
  Overlap overlap;
  overlap.reference_empty = in_reference == 0;
  overlap.predicted_empty = in_predicted == 0;
  if (overlap.reference_empty || overlap.predicted_empty) {
    const bool right = overlap.reference_empty && overlap.predicted_empty;
    overlap.dice = overlap.surface_dice = right ? 1 : 0;
    overlap.hd95_mm = right ? 0 : Diagonal(reference);
    return overlap;
  }
  uint64_t both = 0;
  for (size_t i = 0; i < reference.voxels.size(); ++i) {
    both += reference.voxels[i] != 0 && predicted.voxels[i] != 0 ? 1 : 0;
  }
  overlap.dice = 2 * static_cast<double>(both) / static_cast<double>(in_reference + in_predicted);
  const Mask reference_surface = Surface(reference);
  const Mask predicted_surface = Surface(predicted);
  const std::vector<double> forth = DistancesBetween(reference_surface, predicted_surface);
  const std::vector<double> back = DistancesBetween(predicted_surface, reference_surface);
  overlap.hd95_mm = std::max(Percentile95(forth), Percentile95(back));
  uint64_t near = 0;
  for (const std::vector<double>* distances : {&forth, &back}) {
    near += std::upper_bound(distances->begin(), distances->end(), tolerance_mm) - distances->begin();
  }
  overlap.surface_dice = static_cast<double>(near) / static_cast<double>(forth.size() + back.size());
  return overlap;
}

}  // namespace cloister::eval
