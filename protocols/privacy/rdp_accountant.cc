// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/rdp_accountant.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace cloister::privacy {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kPi = 3.14159265358979323846;

// log of a sum of signed terms, each given as the log of its magnitude: none of them need fit a double.
class LogSum {
 public:
  void Add(double log_magnitude, bool negative = false) {
    if (log_magnitude == -kInfinity) return;
    if (log_magnitude > scale_) {
      sum_ *= std::exp(scale_ - log_magnitude);
      scale_ = log_magnitude;
    }
    const double term = std::exp(log_magnitude - scale_);
    sum_ += negative ? -term : term;
  }
  // The largest term so far.
  double scale() const { return scale_; }
  // A sum that rounding has made negative says nothing: infinity, so that the error is on the safe side.
  double Log() const { return sum_ > 0 ? scale_ + std::log(sum_) : kInfinity; }

 private:
  double scale_ = -kInfinity;
  double sum_ = 0;
};

double LogErfc(double x) {
  // From here the asymptotic series is exact to the last digits, and a little further on erfc is no longer normal.
  constexpr double kSeriesFrom = 25;
  if (x < kSeriesFrom) return std::log(std::erfc(x));
  const double r = 1 / (x * x);
  const double series = r * (-0.5 + r * (0.75 + r * (-1.875 + r * (6.5625 - r * 29.53125))));
  return -x * x - std::log(x * std::sqrt(kPi)) + std::log1p(series);
}

// log E[(p/q)^order], order a whole number: the binomial expansion.
double LogMomentOfWholeOrder(double q, double sigma, double order) {
  LogSum moment;
  double log_binomial = 0;
  for (double i = 0; i <= order; ++i) {
    moment.Add(log_binomial + i * std::log(q) + (order - i) * std::log1p(-q) + (i * i - i) / (2 * sigma * sigma));
    log_binomial += std::log((order - i) / (i + 1));
  }
  return moment.Log();
}

// The same for any order: the binomial series on either side of the point where the two densities are equal.
double LogMomentOfAnyOrder(double q, double sigma, double order) {
  // The series alternates beyond `order`, so what is left out is below the first term left out. The moment is at least
  // one: the terms are small against it as well.
  constexpr double kNegligible = -32;
  const double z = sigma * sigma * (std::log1p(-q) - std::log(q)) + 0.5;
  const double width = std::sqrt(2.0) * sigma;
  LogSum moment;
  double log_binomial = 0;
  bool negative = false;
  for (double i = 0;; ++i) {
    const double j = order - i;
    const double below = log_binomial + i * std::log(q) + j * std::log1p(-q) + (i * i - i) / (2 * sigma * sigma) +
                         LogErfc((i - z) / width) - std::log(2.0);
    const double above = log_binomial + j * std::log(q) + i * std::log1p(-q) + (j * j - j) / (2 * sigma * sigma) +
                         LogErfc((z - j) / width) - std::log(2.0);
    moment.Add(below, negative);
    moment.Add(above, negative);
    if (i > order && std::max(below, above) < std::max(moment.scale(), 0.0) + kNegligible) return moment.Log();
    log_binomial += std::log(std::abs(j) / (i + 1));
    if (j < 0) negative = !negative;
  }
}

double RdpOfOneStep(double q, double sigma, double order) {
  if (q == 0) return 0;
  if (q == 1) return order / (2 * sigma * sigma);
  const bool whole = order == std::floor(order);
  const double log_moment = whole ? LogMomentOfWholeOrder(q, sigma, order) : LogMomentOfAnyOrder(q, sigma, order);
  // Rounding can take a divergence close to zero below it.
  return std::max(log_moment, 0.0) / (order - 1);
}

std::vector<double> MakeOrders() {
  std::vector<double> orders;
  for (int tenths = 11; tenths <= 109; ++tenths) orders.push_back(tenths / 10.0);
  for (int order = 12; order <= 63; ++order) orders.push_back(order);
  orders.push_back(128);
  orders.push_back(256);
  return orders;
}

}  // namespace

absl::Span<const double> RdpOrders() {
  static const auto& orders = *new std::vector<double>(MakeOrders());
  return orders;
}

absl::Status CheckRdpOrders(absl::Span<const double> orders) {
  for (const double order : orders) {
    if (!(std::isfinite(order) && order > 1)) {
      return absl::InvalidArgumentError(fmt::format("Renyi order {}; it must be finite and above 1", order));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<double>> SampledGaussianRdp(const SampledGaussian& mechanism,
                                                       absl::Span<const double> orders) {
  CLOISTER_RETURN_IF_ERROR(CheckSampledGaussian(mechanism));
  CLOISTER_RETURN_IF_ERROR(CheckRdpOrders(orders));
  std::vector<double> rdp;
  rdp.reserve(orders.size());
  for (const double order : orders) {
    rdp.push_back(static_cast<double>(mechanism.steps) *
                  RdpOfOneStep(mechanism.sampling_probability, mechanism.noise_multiplier, order));
  }
  return rdp;
}

absl::StatusOr<double> EpsilonOfRdp(absl::Span<const double> orders, absl::Span<const double> rdp, double delta) {
  CLOISTER_RETURN_IF_ERROR(CheckDelta(delta));
  CLOISTER_RETURN_IF_ERROR(CheckRdpOrders(orders));
  if (orders.empty() || orders.size() != rdp.size()) {
    return absl::InvalidArgumentError(
        fmt::format("{} Renyi divergences for {} orders; there must be one for each", rdp.size(), orders.size()));
  }
  double epsilon = kInfinity;
  for (size_t i = 0; i < orders.size(); ++i) {
    if (!(rdp[i] >= 0)) {
      return absl::InvalidArgumentError(
          fmt::format("a Renyi divergence of {} at order {}; it cannot be negative", rdp[i], orders[i]));
    }
    // The divergence of Kullback and Leibler is no larger, and bounds the total variation (Bretagnolle and Huber).
    if (-std::expm1(-rdp[i]) <= delta * delta) return 0;
    const double bound = rdp[i] + std::log1p(-1 / orders[i]) - std::log(delta * orders[i]) / (orders[i] - 1);
    epsilon = std::min(epsilon, bound);
  }
  return std::max(epsilon, 0.0);
}

absl::StatusOr<double> RdpEpsilon(const SampledGaussian& mechanism, double delta) {
  CLOISTER_RETURN_IF_ERROR(CheckDelta(delta));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<double> rdp, SampledGaussianRdp(mechanism, RdpOrders()));
  return EpsilonOfRdp(RdpOrders(), rdp, delta);
}

absl::StatusOr<double> NoiseMultiplierFor(const PrivacyTarget& target) {
  constexpr double kTolerance = 1e-8;
  if (!(std::isfinite(target.epsilon) && target.epsilon > 0)) {
    return absl::InvalidArgumentError(fmt::format("epsilon {}; it must be finite and positive", target.epsilon));
  }
  const auto epsilon_with = [&target](double noise_multiplier) {
    return RdpEpsilon({target.sampling_probability, noise_multiplier, target.steps}, target.delta);
  };
  double low = kMinNoiseMultiplier;
  CLOISTER_ASSIGN_OR_RETURN(const double least_private, epsilon_with(low));
  if (least_private <= target.epsilon) return low;
  // Upwards by doubling first: the series is slow where there is far more noise than any target needs.
  double high = low;
  for (double epsilon = least_private; epsilon > target.epsilon;) {
    if (high == kMaxNoiseMultiplier) {
      return absl::InvalidArgumentError(
          fmt::format("no noise multiplier up to {} gives epsilon {} at delta {}", high, target.epsilon, target.delta));
    }
    low = high;
    high = std::min(2 * high, kMaxNoiseMultiplier);
    CLOISTER_ASSIGN_OR_RETURN(epsilon, epsilon_with(high));
  }
  while (high - low > kTolerance * high) {
    const double middle = 0.5 * (low + high);
    CLOISTER_ASSIGN_OR_RETURN(const double epsilon, epsilon_with(middle));
    (epsilon <= target.epsilon ? high : low) = middle;
  }
  return high;
}

}  // namespace cloister::privacy
