#pragma once
// SPDX-License-Identifier: Apache-2.0
// L2 clipping of a site's update before it is quantized. Sums in double over eight fixed lanes, so that the norm, and
// with it every residue, is the same on every processor.

#include <absl/types/span.h>

#include "protocols/base/status.h"

namespace cloister::privacy {

// ||local - global||_2. `local`, `global`: float32 [D]. INVALID_ARGUMENT: different sizes, or a non-finite value.
absl::StatusOr<double> UpdateNorm(absl::Span<const float> local, absl::Span<const float> global);

// The factor in (0, 1] that brings an update of L2 norm `norm` to at most `clip_norm`: min(1, clip_norm / norm).
// INVALID_ARGUMENT: a norm that is negative or not finite, a clip_norm that is not finite and positive.
absl::StatusOr<double> ClipFactor(double norm, double clip_norm);

}  // namespace cloister::privacy
