#pragma once
// SPDX-License-Identifier: Apache-2.0
// What it costs in privacy to reveal a sum of integer vectors to which every site has added a share of discrete
// Gaussian noise (discrete_gaussian.h), and how large the shares have to be. All lengths are in units of the integer
// grid: what is clipped to clip_norm and quantized with `scale` has norm scale * clip_norm.
// Source: Kairouz, Liu, Steinke: The Distributed Discrete Gaussian Mechanism for Federated Learning with Secure
// Aggregation (2021), https://arxiv.org/abs/2102.06387.

#include <absl/types/span.h>

#include <cstdint>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::privacy {

inline constexpr uint64_t kMaxShares = uint64_t{1} << 20;
inline constexpr uint64_t kMaxDimension = uint64_t{1} << 40;
// A sum of discrete Gaussians is not one, but from three units on nobody can tell; here it is not even in the doubles.
inline constexpr double kMinLocalSigma = 100;

// The L2 norm, at most, of a vector of norm `norm` and `dimension` elements once each of them is rounded to one of its
// two neighbours at random without bias. With `beta` 0 that always holds. Otherwise it holds with a probability of at
// least 1 - beta, and always where the rounding is drawn again until it does. Drawing again bounds the vector that is
// rounded, a site's whole update: for a unit that is one of several summed up in it, only `beta` 0 is sure, and any
// other adds `beta` to delta in each step. Source: Theorem 1.
// INVALID_ARGUMENT: a norm that is negative or not finite, a dimension outside [1, kMaxDimension], beta not in [0, 1).
absl::StatusOr<double> RoundedL2Norm(double norm, uint64_t dimension, double beta);

// How many shares of noise are in every sum that is revealed, and unknown to the coordinator and to `colluders` sites
// that work with it: max(threshold, min_sites) - colluders. INVALID_ARGUMENT: none, or more than kMaxShares.
absl::StatusOr<uint64_t> HonestShares(uint64_t threshold, uint64_t min_sites, uint64_t colluders);

// The standard deviation of one of `shares` shares that have `sigma` in sum. INVALID_ARGUMENT: a sigma that is not
// finite, shares not in [1, kMaxShares], or a result below kMinLocalSigma: the grid is too coarse for this little
// noise.
absl::StatusOr<double> LocalSigma(double sigma, uint64_t shares);

// tau of Theorem 1: how far the sum of `shares` discrete Gaussians is from a discrete Gaussian.
double ShareTau(double local_sigma, uint64_t shares);

// A sum of shares relative to its noise; sigma is the standard deviation of the sum.
struct ShareSum {
  double l1_over_sigma = 0;  // L1 sensitivity to one unit
  double l2_over_sigma = 0;  // L2 sensitivity
  double tau = 0;
  double dimension = 0;
};
// The Renyi divergence of the sum at `order`, at least 1: the least of the three bounds of Proposition 14.
double ShareSumRdp(const ShareSum& sum, double order);

struct DistributedGaussian {
  double l2_sensitivity = 0;  // of the sum of integers to one unit, so after rounding
  uint64_t dimension = 0;     // elements of the vector
  double local_sigma = 0;     // standard deviation of each share
  uint64_t shares = 0;        // as HonestShares counts them: what others add takes nothing away
  uint64_t steps = 0;         // sums that are revealed
};

// The Renyi divergence of all steps together at each of `orders`; one value per order. Every unit may be in every step.
// INVALID_ARGUMENT: a sensitivity that is not finite and positive, a dimension, number of shares or steps outside its
// range, local_sigma below kMinLocalSigma or not finite, an order that is not finite and above 1.
absl::StatusOr<std::vector<double>> DistributedGaussianRdp(const DistributedGaussian& mechanism,
                                                           absl::Span<const double> orders);

// The epsilon that this proves at `delta`, from RdpOrders(). INVALID_ARGUMENT: as above, or delta outside (0, 1).
absl::StatusOr<double> DistributedGaussianEpsilon(const DistributedGaussian& mechanism, double delta);

}  // namespace cloister::privacy
