#pragma once
// SPDX-License-Identifier: Apache-2.0
// Epsilon of the Poisson-sampled Gaussian from its privacy loss distribution: close to exact, where the Renyi bound
// (rdp_accountant.h) gives away five to fifteen per cent.

#include "protocols/privacy/sampled_gaussian.h"

namespace cloister::privacy {

// The epsilon of all steps of `mechanism` at `delta`, for a unit that is added and for one that is removed (the larger
// of the two). Not below the true one, but for the rounding of doubles; above it by less than a part in a thousand.
// Losses are put on a grid of 1e-4 nats, a finer one where a step loses hardly more than that, or a coarser one where
// the loss of all steps would span more than LossDistribution::kMaxPoints: epsilon is then in the hundreds. Infinite
// where `delta` is below 1e-15 per step, or below the probability that some step loses more than 100 nats. At most a
// few seconds and 200 MiB. INVALID_ARGUMENT: CheckSampledGaussian, CheckDelta. Source: Doroshenko, Ghazi, Kamath,
// Kumar, Manurangsi: Connect the Dots (2022), section 4; Koskela, Jalko, Honkela: Computing Tight Differential Privacy
// Guarantees Using FFT (2020).
absl::StatusOr<double> PldEpsilon(const SampledGaussian& mechanism, double delta);

}  // namespace cloister::privacy
