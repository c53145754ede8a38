// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/clipping.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace cloister::privacy {

absl::StatusOr<double> UpdateNorm(absl::Span<const float> local, absl::Span<const float> global) {
  if (local.size() != global.size()) {
    return absl::InvalidArgumentError(
        fmt::format("the local model has {} parameters, the global one {}", local.size(), global.size()));
  }
  constexpr size_t kLanes = 8;
  double lanes[kLanes] = {};
  const size_t whole = local.size() / kLanes * kLanes;
  const float* a = local.data();
  const float* b = global.data();
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double delta = static_cast<double>(a[i + lane]) - static_cast<double>(b[i + lane]);
      lanes[lane] += delta * delta;
    }
  }
  for (size_t i = whole; i < local.size(); ++i) {
    const double delta = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    lanes[i - whole] += delta * delta;
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  // A square of finite floats is at most 2^258: only a non-finite input makes the sum so.
  if (!std::isfinite(sum)) return absl::InvalidArgumentError("the update has a non-finite value");
  return std::sqrt(sum);
}

absl::StatusOr<double> ClipFactor(double norm, double clip_norm) {
  if (!std::isfinite(norm) || norm < 0) return absl::InvalidArgumentError("the norm of the update is not finite");
  if (!std::isfinite(clip_norm) || clip_norm <= 0) {
    return absl::InvalidArgumentError(fmt::format("clip_norm {}; it must be finite and positive", clip_norm));
  }
  if (norm <= clip_norm) return 1.0;
  const double factor = clip_norm / norm;
  // Rounded up, the clipped norm would exceed clip_norm by one unit in the last place.
  return std::max(std::nextafter(factor, 0.0), std::numeric_limits<double>::min());
}

}  // namespace cloister::privacy
