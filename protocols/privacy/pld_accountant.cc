// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/pld_accountant.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "protocols/privacy/loss_distribution.h"

namespace cloister::privacy {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kInterval = 1e-4;
// Connecting dots adds up to a sixth of a squared interval to the variance of a step, which many steps with little loss
// each would notice. Below the smallest interval rounding takes over.
constexpr double kIntervalsPerDeviation = 32;
constexpr double kSmallestInterval = 1e-9;
constexpr double kMaxLoss = 100;
// Standard deviations beyond which a Gaussian has less than 1e-23: nothing, even times kMaxSteps.
constexpr double kTail = 10;

// One output coordinate of one step, along the contribution of the unit: N(0, sigma^2) without the unit, and with it
// the mixture of that and N(1, sigma^2), the latter with probability q.
struct Output {
  double q;
  double sigma;

  // log of the density with the unit over that without it; it grows with x.
  double Loss(double x) const {
    const double shifted = (2 * x - 1) / (2 * sigma * sigma);
    if (q == 1) return shifted;
    if (shifted > 1) return shifted + std::log(q + (1 - q) * std::exp(-shifted));
    return std::log1p(q * std::expm1(shifted));
  }
  // Where the loss is `loss`; minus infinity where it is never as small.
  double OutputAt(double loss) const {
    const double ratio = std::expm1(loss) / q;
    if (q < 1 && ratio <= -1) return -kInfinity;
    return sigma * sigma * (q == 1 ? loss : std::log1p(ratio)) + 0.5;
  }
  // Probability of (from, to], without and with the unit. Differences of tails on the side where these are small.
  double MassWithout(double from, double to) const { return Normal(from / sigma, to / sigma); }
  double MassWith(double from, double to) const {
    return (1 - q) * MassWithout(from, to) + q * Normal((from - 1) / sigma, (to - 1) / sigma);
  }

 private:
  static double Normal(double from, double to) {
    if (from > 0) return Normal(-to, -from);
    const double root = std::sqrt(0.5);
    return 0.5 * (std::erfc(-to * root) - std::erfc(-from * root));
  }
};

// Puts the outputs with a loss between two neighbouring points of the grid onto these two points, such that their
// probability on either data set stays what it is. That raises delta(epsilon) nowhere but between the points, where it
// becomes a straight line in exp(epsilon), and lowers it nowhere.
class DotConnector {
 public:
  DotConnector(double interval, int64_t first, size_t points)
      : grid_{interval, first, std::vector<double>(points), 0} {}

  // The outputs between points `index` and `index` + 1: `mass` on the data set they are drawn for, `other` on the
  // other.
  void Connect(size_t index, double mass, double other) {
    const double loss = static_cast<double>(grid_.first + static_cast<int64_t>(index)) * grid_.interval;
    const double upper = (mass - std::exp(loss) * other) / -std::expm1(-grid_.interval);
    const double kept = std::clamp(upper, 0.0, mass);
    grid_.masses[index] += mass - kept;
    grid_.masses[index + 1] += kept;
  }
  void AddBelow(double mass) { grid_.masses.front() += mass; }
  void AddAbove(double mass) { grid_.infinite_mass += mass; }

  absl::StatusOr<LossDistribution> Finish() && { return LossDistribution::Create(std::move(grid_)); }

 private:
  LossDistribution::Grid grid_;
};

struct BothWays {
  LossDistribution removed;
  LossDistribution added;
};

// The losses of one step if the unit is removed and if it is added. These are each other's negatives.
absl::StatusOr<BothWays> LossesOfOneStep(const Output& output, double interval) {
  const auto capped = [](double loss) { return std::clamp(loss, -kMaxLoss, kMaxLoss); };
  const double lowest = std::floor(capped(output.Loss(-kTail * output.sigma)) / interval);
  const double highest = std::ceil(capped(output.Loss(1 + kTail * output.sigma)) / interval);
  if (highest - lowest >= LossDistribution::kMaxPoints) {
    return absl::ResourceExhaustedError(fmt::format("the loss of a step spans {} points", highest - lowest));
  }
  const int64_t first = static_cast<int64_t>(lowest);
  const int64_t last = static_cast<int64_t>(highest);
  const size_t cells = static_cast<size_t>(last - first);
  DotConnector removed(interval, first, cells + 1);
  DotConnector added(interval, -last, cells + 1);

  double from = output.OutputAt(static_cast<double>(first) * interval);
  removed.AddBelow(output.MassWith(-kInfinity, from));
  added.AddAbove(output.MassWithout(-kInfinity, from));
  for (size_t cell = 0; cell < cells; ++cell) {
    const double to = output.OutputAt(static_cast<double>(first + static_cast<int64_t>(cell) + 1) * interval);
    const double with = output.MassWith(from, to);
    const double without = output.MassWithout(from, to);
    removed.Connect(cell, with, without);
    added.Connect(cells - 1 - cell, without, with);
    from = to;
  }
  removed.AddAbove(output.MassWith(from, kInfinity));
  added.AddBelow(output.MassWithout(from, kInfinity));

  CLOISTER_ASSIGN_OR_RETURN(LossDistribution if_removed, std::move(removed).Finish());
  CLOISTER_ASSIGN_OR_RETURN(LossDistribution if_added, std::move(added).Finish());
  return BothWays{std::move(if_removed), std::move(if_added)};
}

absl::StatusOr<double> EpsilonOnGrid(const SampledGaussian& mechanism, double delta, double interval) {
  const Output output{mechanism.sampling_probability, mechanism.noise_multiplier};
  CLOISTER_ASSIGN_OR_RETURN(const BothWays step, LossesOfOneStep(output, interval));
  double epsilon = 0;
  for (const LossDistribution* loss : {&step.removed, &step.added}) {
    CLOISTER_ASSIGN_OR_RETURN(const LossDistribution all, loss->SelfCompose(mechanism.steps));
    CLOISTER_ASSIGN_OR_RETURN(const double one_way, all.EpsilonFor(delta));
    epsilon = std::max(epsilon, one_way);
  }
  return epsilon;
}

}  // namespace

absl::StatusOr<double> PldEpsilon(const SampledGaussian& mechanism, double delta) {
  CLOISTER_RETURN_IF_ERROR(CheckSampledGaussian(mechanism));
  CLOISTER_RETURN_IF_ERROR(CheckDelta(delta));
  if (mechanism.sampling_probability == 0) return 0;
  const double q = mechanism.sampling_probability;
  const double sigma = mechanism.noise_multiplier;
  // That of the likelihood ratio, and close to that of its logarithm wherever it decides.
  const double deviation = q * std::sqrt(std::expm1(1 / (sigma * sigma)));
  const double finest = std::clamp(deviation / kIntervalsPerDeviation, kSmallestInterval, kInterval);
  for (double interval = finest;; interval *= 2) {
    absl::StatusOr<double> epsilon = EpsilonOnGrid(mechanism, delta, interval);
    if (!absl::IsResourceExhausted(epsilon.status())) return epsilon;
  }
}

}  // namespace cloister::privacy
