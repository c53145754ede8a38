// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/loss_distribution.h"

#include <absl/types/span.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "protocols/privacy/fft.h"
#include "protocols/privacy/sampled_gaussian.h"

namespace cloister::privacy {
namespace {

// An index that the sum of `times` independent draws from `masses` (index = value) exceeds with a probability below
// `tail`: Chernoff's bound, the best of a few parameters around the one that would be best for a Gaussian.
int64_t UpperEnd(absl::Span<const double> masses, uint64_t times, double tail) {
  double mass = 0, mean = 0, square = 0;
  for (size_t i = 0; i < masses.size(); ++i) {
    mass += masses[i];
    mean += masses[i] * static_cast<double>(i);
  }
  mean /= mass;
  for (size_t i = 0; i < masses.size(); ++i) {
    square += masses[i] * (static_cast<double>(i) - mean) * (static_cast<double>(i) - mean);
  }
  const double n = static_cast<double>(times);
  const double gaussian = std::sqrt(-2 * std::log(tail) / (n * std::max(square / mass, 1e-3)));
  const double top = static_cast<double>(masses.size() - 1);
  double below_top = 0;
  for (int power = -6; power <= 6; ++power) {
    const double t = std::ldexp(gaussian, power);
    // The moment relative to that of the largest value, which does not overflow. The weight is exp(t * (i - top)); what
    // repeated rounding does to it is far below the rest of the probability budget.
    constexpr double kNoWeight = 1e-290;
    const double decay = std::exp(-t);
    double moment = 0;
    double weight = 1;
    for (size_t i = masses.size(); i-- > 0 && weight > kNoWeight; weight *= decay) moment += masses[i] * weight;
    if (moment > 0) below_top = std::max(below_top, (std::log(tail) - n * std::log(moment)) / t);
  }
  return static_cast<int64_t>(std::ceil(n * top - below_top));
}

std::complex<double> Power(std::complex<double> base, uint64_t exponent) {
  std::complex<double> power = 1;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) power = Product(power, base);
    base = Product(base, base);
  }
  return power;
}

// index mod size, not negative.
size_t Wrapped(int64_t index, size_t size) {
  return static_cast<size_t>(index) & (size - 1);  // a power of two: two's complement does it
}

}  // namespace

absl::StatusOr<LossDistribution> LossDistribution::Create(Grid grid) {
  if (!(std::isfinite(grid.interval) && grid.interval > 0)) {
    return absl::InvalidArgumentError(fmt::format("a grid interval of {}; it must be positive", grid.interval));
  }
  if (grid.masses.empty() || grid.masses.size() > kMaxPoints) {
    return absl::InvalidArgumentError(
        fmt::format("a loss distribution of {} points; there must be 1 to {}", grid.masses.size(), kMaxPoints));
  }
  double sum = grid.infinite_mass;
  bool is_distribution = grid.infinite_mass >= 0;
  for (const double mass : grid.masses) {
    is_distribution = is_distribution && mass >= 0;
    sum += mass;
  }
  if (!is_distribution || !(std::abs(sum - 1) < 1e-9)) {
    return absl::InvalidArgumentError("the masses of a loss distribution are negative or do not add up to one");
  }
  return LossDistribution(std::move(grid));
}

absl::StatusOr<LossDistribution> LossDistribution::SelfCompose(uint64_t times) const {
  if (times == 0) return absl::InvalidArgumentError("a composition of no steps");
  if (times == 1) return *this;
  const std::vector<double> mirrored(grid_.masses.rbegin(), grid_.masses.rend());
  const int64_t highest = static_cast<int64_t>(times) * static_cast<int64_t>(grid_.masses.size() - 1);
  const double truncated = kTruncatedMass * static_cast<double>(times);
  const int64_t end = UpperEnd(grid_.masses, times, truncated / 4);
  const int64_t begin = highest - UpperEnd(mirrored, times, truncated / 4);
  const uint64_t points = static_cast<uint64_t>(std::max<int64_t>(end - begin, 0)) + 1;
  size_t size = 1;
  while (size < points && size <= kMaxPoints) size *= 2;
  if (size > kMaxPoints) {
    return absl::ResourceExhaustedError(
        fmt::format("the loss of {} steps spans {} points, more than {}", times, points, kMaxPoints));
  }

  // The transform is circular: what lies outside [begin, begin + size) comes back inside. From below it becomes a
  // larger loss, which is safe; from above it is counted once more, as an infinite loss.
  std::vector<std::complex<double>> values(size);
  for (size_t i = 0; i < grid_.masses.size(); ++i) values[i & (size - 1)] += grid_.masses[i];
  const Fft fft(size);
  fft.Forward(absl::MakeSpan(values));
  for (std::complex<double>& value : values) value = Power(value, times);
  fft.Inverse(absl::MakeSpan(values));

  Grid composed;
  composed.interval = grid_.interval;
  composed.first = static_cast<int64_t>(times) * grid_.first + begin;
  composed.masses.resize(size);
  // Rounding leaves some of them a little below zero. Made zero, these would no longer cancel those above it, and a
  // million points of noise would add up.
  for (size_t i = 0; i < size; ++i) {
    composed.masses[i] = values[Wrapped(begin + static_cast<int64_t>(i), size)].real();
  }
  composed.infinite_mass =
      std::min(1.0, truncated - std::expm1(static_cast<double>(times) * std::log1p(-grid_.infinite_mass)));
  return LossDistribution(std::move(composed));
}

absl::StatusOr<double> LossDistribution::EpsilonFor(double delta) const {
  CLOISTER_RETURN_IF_ERROR(CheckDelta(delta));
  if (grid_.infinite_mass > delta) return std::numeric_limits<double>::infinity();
  // Between two losses of the grid, delta(epsilon) = above - discounted * exp(epsilon - loss), where both sums run over
  // all losses from `loss` upwards. From the top down, the first such piece that reaches `delta` within its bounds.
  const double decay = std::exp(-grid_.interval);
  double above = grid_.infinite_mass;
  double discounted = 0;
  for (size_t i = grid_.masses.size(); i-- > 0;) {
    const double loss = static_cast<double>(grid_.first + static_cast<int64_t>(i)) * grid_.interval;
    if (loss <= 0) return 0;
    above += grid_.masses[i];
    discounted = discounted * decay + grid_.masses[i];
    if (above <= delta) continue;
    // Only where delta is as small as the rounding: the loss before this one is proven, and no better bound.
    if (discounted <= 0) return loss + grid_.interval;
    const double epsilon = loss + std::log((above - delta) / discounted);
    if (i == 0 || epsilon >= loss - grid_.interval) return std::max(epsilon, 0.0);
  }
  return 0;
}

}  // namespace cloister::privacy
