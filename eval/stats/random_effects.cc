// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/random_effects.h"

#include <algorithm>
#include <cmath>

#include "eval/stats/student.h"

namespace cloister::eval {
namespace {

struct Fit {
  double weights = 0;          // sum of w = 1 / (variance + tau^2)
  double squared_weights = 0;  // sum of w^2
  double mean = 0;
  double spread = 0;          // sum of w (value - mean)^2
  double squared_spread = 0;  // sum of w^2 (value - mean)^2
};

Fit FitAt(absl::Span<const SiteEffect> sites, double tau_squared) {
  Fit fit;
  for (const SiteEffect& site : sites) {
    const double w = 1 / (site.variance + tau_squared);
    fit.weights += w;
    fit.squared_weights += w * w;
    fit.mean += w * site.value;
  }
  fit.mean /= fit.weights;
  for (const SiteEffect& site : sites) {
    const double w = 1 / (site.variance + tau_squared);
    const double squared = (site.value - fit.mean) * (site.value - fit.mean);
    fit.spread += w * squared;
    fit.squared_spread += w * w * squared;
  }
  return fit;
}

// Twice the slope of the restricted log-likelihood in tau^2: above zero below its maximum.
double Slope(absl::Span<const SiteEffect> sites, double tau_squared) {
  const Fit fit = FitAt(sites, tau_squared);
  return fit.squared_spread - fit.weights + fit.squared_weights / fit.weights;
}

double TauSquared(absl::Span<const SiteEffect> sites) {
  if (Slope(sites, 0) <= 0) {
    return 0;
  }
  double below = 0;
  double above = sites[0].variance;
  while (Slope(sites, above) > 0) {
    below = above;
    above *= 2;
  }
  for (int i = 0; i < 200 && below < above; ++i) {
    const double middle = 0.5 * (below + above);
    (Slope(sites, middle) > 0 ? below : above) = middle;
  }
  return 0.5 * (below + above);
}

}  // namespace

Estimable<RandomEffects> PoolSites(absl::Span<const SiteEffect> sites, double level) {
  if (sites.size() < kMinimumSites) {
    return Reason::kTooFewSites;
  }
  const double df = static_cast<double>(sites.size() - 1);
  RandomEffects result;
  result.tau_squared = TauSquared(sites);
  const Fit fit = FitAt(sites, result.tau_squared);
  result.standard_error = std::sqrt(fit.spread / (df * fit.weights));
  const double t = TwoSidedStudentQuantile(level, df);
  const double half = t * result.standard_error;
  result.mean = Estimate{fit.mean, fit.mean - half, fit.mean + half, level, sites.size(), "reml_hartung_knapp"};
  const double beyond = t * std::hypot(result.standard_error, std::sqrt(result.tau_squared));
  result.prediction_lower = fit.mean - beyond;
  result.prediction_upper = fit.mean + beyond;
  const Fit fixed = FitAt(sites, 0);
  result.q = fixed.spread;
  result.q_p_value = ChiSquaredTail(result.q, df);
  const double typical = df / (fixed.weights - fixed.squared_weights / fixed.weights);
  result.i_squared = result.tau_squared / (typical + result.tau_squared);
  return result;
}

}  // namespace cloister::eval
