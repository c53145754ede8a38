#pragma once
// SPDX-License-Identifier: Apache-2.0
// Epsilon of the Poisson-sampled Gaussian from its privacy loss distribution: close to exact, where the Renyi bound
// (rdp_accountant.h) gives away five to thirty per cent.

#include "protocols/privacy/sampled_gaussian.h"

namespace cloister::privacy {

// The epsilon of all steps of `mechanism` at `delta`, for a unit that is added and for one that is removed (the larger
// of the two). Not below the true one, but for the rounding of doubles; above it by less than a part in a thousand
// where `delta` is well above 1e-15 per step, which is set aside for that rounding. Infinite where `delta` is below
// that, or below the probability that some step loses more than 100 nats. Losses are put on a grid of 1e-4 nats, a
// finer one where a step loses hardly more than that, or a coarser one where the loss of all steps would span more than
// LossDistribution::kMaxPoints. At most a few seconds and 200 MiB. INVALID_ARGUMENT: CheckSampledGaussian, CheckDelta.
// Source: Doroshenko et al.: Connect the Dots (2022), section 4; Koskela, Jalko, Honkela: Computing Tight Differential
// Privacy Guarantees Using FFT (2020).
absl::StatusOr<double> PldEpsilon(const SampledGaussian& mechanism, double delta);

}  // namespace cloister::privacy
