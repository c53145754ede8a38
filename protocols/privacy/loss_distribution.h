#pragma once
// SPDX-License-Identifier: Apache-2.0
// The privacy loss distribution of a mechanism on a grid: log(P(x) / Q(x)) for x drawn from P, where P and Q are its
// outputs on two neighbouring data sets. Losses add up over independent steps, so composing is convolving. Which
// mechanism it is of, and how it came onto the grid, is the maker's affair (pld_accountant.h).

#include <cstdint>
#include <utility>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::privacy {

// Immutable.
class LossDistribution {
 public:
  static constexpr size_t kMaxPoints = size_t{1} << 21;
  // What composing moves to an infinite loss, times the number of steps: for what is left out at the ends, and for the
  // rounding of the transform, of which every step has its share.
  static constexpr double kTruncatedMass = 1e-15;

  struct Grid {
    double interval = 0;         // between two losses, in nats; positive
    int64_t first = 0;           // masses[i] is the probability of the loss (first + i) * interval
    std::vector<double> masses;  // not negative, but for the rounding of a composition
    double infinite_mass = 0;    // probability of an infinite loss
  };
  // INVALID_ARGUMENT: an interval that is not finite and positive, no masses or more than kMaxPoints, a mass that is
  // negative or not finite, or masses that do not add up to one.
  static absl::StatusOr<LossDistribution> Create(Grid grid);

  // The loss of `times` independent steps, at least one. RESOURCE_EXHAUSTED: it spans more than kMaxPoints; a coarser
  // grid may do. INVALID_ARGUMENT: no steps.
  absl::StatusOr<LossDistribution> SelfCompose(uint64_t times) const;

  // The smallest epsilon, not below 0, at which E[max(0, 1 - exp(epsilon - loss))] is at most `delta`; infinite if the
  // infinite mass alone is more. INVALID_ARGUMENT: delta outside (0, 1).
  absl::StatusOr<double> EpsilonFor(double delta) const;

 private:
  explicit LossDistribution(Grid grid) : grid_(std::move(grid)) {}

  Grid grid_;
};

}  // namespace cloister::privacy
