#pragma once
// SPDX-License-Identifier: Apache-2.0
// Renyi differential privacy of the Poisson-sampled Gaussian and what it means in (epsilon, delta). Every epsilon here
// is an upper bound. The privacy loss distribution (pld_accountant.h) bounds the same mechanism more tightly; this one
// also composes with mechanisms of which only the Renyi divergence is known.

#include <absl/types/span.h>

#include <vector>

#include "protocols/privacy/sampled_gaussian.h"

namespace cloister::privacy {

// 1.1 to 10.9 in steps of 0.1, 12 to 63, 128 and 256.
absl::Span<const double> RdpOrders();

// INVALID_ARGUMENT: one of them is not finite and above 1.
absl::Status CheckRdpOrders(absl::Span<const double> orders);

// The Renyi divergence of all steps together at each of `orders`, in nats; one value per order.
// INVALID_ARGUMENT: CheckSampledGaussian, CheckRdpOrders.
// Source: Mironov, Talwar, Zhang: Renyi Differential Privacy of the Sampled Gaussian Mechanism (2019), section 3.3.
absl::StatusOr<std::vector<double>> SampledGaussianRdp(const SampledGaussian& mechanism,
                                                       absl::Span<const double> orders);

// The smallest epsilon that `rdp` (one divergence per order; they add up under composition) proves at `delta`; infinite
// if all of them are. INVALID_ARGUMENT: delta outside (0, 1), no orders or not as many divergences, an order that is
// not above 1, a divergence that is negative or NaN.
// Source: Balle et al. (2020), Theorem 21; Canonne, Kamath, Steinke (2020), Proposition 12.
absl::StatusOr<double> EpsilonOfRdp(absl::Span<const double> orders, absl::Span<const double> rdp, double delta);

// The same of all steps of `mechanism` at RdpOrders(). INVALID_ARGUMENT as above.
absl::StatusOr<double> RdpEpsilon(const SampledGaussian& mechanism, double delta);

struct PrivacyTarget {
  double epsilon = 0;
  double delta = 0;
  double sampling_probability = 1;
  uint64_t steps = 0;
};
// The smallest noise multiplier, to one part in 10^8 and never below it, with which RdpEpsilon is at most the target.
// INVALID_ARGUMENT: an epsilon that is not finite and positive, a number outside its range, or a target that no noise
// multiplier in range reaches.
absl::StatusOr<double> NoiseMultiplierFor(const PrivacyTarget& target);

}  // namespace cloister::privacy
