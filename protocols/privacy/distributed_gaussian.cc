// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/distributed_gaussian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "protocols/privacy/rdp_accountant.h"

namespace cloister::privacy {
namespace {

absl::Status CheckDimension(uint64_t dimension) {
  if (dimension >= 1 && dimension <= kMaxDimension) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("dimension {}; it must be 1 to {}", dimension, kMaxDimension));
}

absl::Status CheckShares(uint64_t shares) {
  if (shares >= 1 && shares <= kMaxShares) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{} shares of noise; there must be 1 to {}", shares, kMaxShares));
}

// NaN fails the comparison.
absl::Status CheckLocalSigma(double local_sigma) {
  if (std::isfinite(local_sigma) && local_sigma >= kMinLocalSigma) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("a share of noise with a standard deviation of {} grid units; it must be finite and at least {}: use "
                  "a finer grid (a larger scale)",
                  local_sigma, kMinLocalSigma));
}

absl::Status Check(const DistributedGaussian& mechanism) {
  CLOISTER_RETURN_IF_ERROR(CheckDimension(mechanism.dimension));
  CLOISTER_RETURN_IF_ERROR(CheckShares(mechanism.shares));
  CLOISTER_RETURN_IF_ERROR(CheckLocalSigma(mechanism.local_sigma));
  if (!(std::isfinite(mechanism.l2_sensitivity) && mechanism.l2_sensitivity > 0)) {
    return absl::InvalidArgumentError(
        fmt::format("L2 sensitivity {}; it must be finite and positive", mechanism.l2_sensitivity));
  }
  if (mechanism.steps == 0 || mechanism.steps > kMaxSteps) {
    return absl::InvalidArgumentError(fmt::format("{} steps; there must be 1 to {}", mechanism.steps, kMaxSteps));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<double> RoundedL2Norm(double norm, uint64_t dimension, double beta) {
  CLOISTER_RETURN_IF_ERROR(CheckDimension(dimension));
  if (!(std::isfinite(norm) && norm >= 0)) {
    return absl::InvalidArgumentError(fmt::format("norm {}; it must be finite and not negative", norm));
  }
  if (!(beta >= 0 && beta < 1)) {
    return absl::InvalidArgumentError(fmt::format("rounding bias {}; it must be in [0, 1)", beta));
  }
  const double d = static_cast<double>(dimension);
  const double always = norm + std::sqrt(d);
  if (beta == 0) return always;
  const double spread = std::sqrt(2 * std::log(1 / beta)) * (norm + 0.5 * std::sqrt(d));
  return std::min(always, std::sqrt(norm * norm + 0.25 * d + spread));
}

absl::StatusOr<uint64_t> HonestShares(uint64_t threshold, uint64_t min_sites, uint64_t colluders) {
  const uint64_t survivors = std::max(threshold, min_sites);
  if (survivors <= colluders) {
    return absl::InvalidArgumentError(
        fmt::format("{} sites in the smallest sum, {} of them colluding: no noise is left", survivors, colluders));
  }
  CLOISTER_RETURN_IF_ERROR(CheckShares(survivors - colluders));
  return survivors - colluders;
}

absl::StatusOr<double> LocalSigma(double sigma, uint64_t shares) {
  CLOISTER_RETURN_IF_ERROR(CheckShares(shares));
  const double local_sigma = sigma / std::sqrt(static_cast<double>(shares));
  CLOISTER_RETURN_IF_ERROR(CheckLocalSigma(local_sigma));
  return local_sigma;
}

double ShareTau(double local_sigma, uint64_t shares) {
  const double pi_sigma = std::acos(-1.0) * local_sigma;
  double tau = 0;
  for (uint64_t k = 1; k < shares; ++k) {
    const double term = 10 * std::exp(-2 * pi_sigma * pi_sigma * static_cast<double>(k) / static_cast<double>(k + 1));
    if (term == 0) break;  // the first is the largest
    tau += term;
  }
  return tau;
}

double ShareSumRdp(const ShareSum& sum, double order) {
  const double square = sum.l2_over_sigma * sum.l2_over_sigma;
  const double spread = sum.l2_over_sigma + std::sqrt(sum.dimension) * sum.tau;
  return std::min({order / 2 * square + sum.tau * sum.dimension,
                   order / 2 * (square + 2 * sum.l1_over_sigma * sum.tau + sum.tau * sum.tau * sum.dimension),
                   order / 2 * spread * spread});
}

absl::StatusOr<std::vector<double>> DistributedGaussianRdp(const DistributedGaussian& mechanism,
                                                           absl::Span<const double> orders) {
  CLOISTER_RETURN_IF_ERROR(Check(mechanism));
  CLOISTER_RETURN_IF_ERROR(CheckRdpOrders(orders));
  const double sigma = mechanism.local_sigma * std::sqrt(static_cast<double>(mechanism.shares));
  const double l2 = mechanism.l2_sensitivity;
  ShareSum sum;
  sum.dimension = static_cast<double>(mechanism.dimension);
  // Of integers none is smaller than its square root.
  sum.l1_over_sigma = l2 * std::min(std::sqrt(sum.dimension), l2) / sigma;
  sum.l2_over_sigma = l2 / sigma;
  sum.tau = ShareTau(mechanism.local_sigma, mechanism.shares);
  std::vector<double> rdp;
  rdp.reserve(orders.size());
  for (const double order : orders) rdp.push_back(static_cast<double>(mechanism.steps) * ShareSumRdp(sum, order));
  return rdp;
}

absl::StatusOr<double> DistributedGaussianEpsilon(const DistributedGaussian& mechanism, double delta) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<double> rdp, DistributedGaussianRdp(mechanism, RdpOrders()));
  return EpsilonOfRdp(RdpOrders(), rdp, delta);
}

}  // namespace cloister::privacy
