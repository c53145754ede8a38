// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/proportion.h"

#include <algorithm>
#include <cmath>

#include "eval/stats/normal.h"

namespace cloister::eval {

Estimable<Estimate> Wilson(uint64_t k, uint64_t n, double level) {
  if (n == 0) {
    return Reason::kNoCases;
  }
  const double total = static_cast<double>(n);
  const double p = static_cast<double>(k) / total;
  const double z = TwoSidedQuantile(level);
  const double middle = p + z * z / (2 * total);
  const double half = z * std::sqrt(p * (1 - p) / total + z * z / (4 * total * total));
  const double scale = 1 + z * z / total;
  // The ends are exact at 0 and 1, where rounding would leave 1e-17.
  const double lower = k == 0 ? 0 : std::max(0.0, (middle - half) / scale);
  const double upper = k == n ? 1 : std::min(1.0, (middle + half) / scale);
  return Estimate{p, lower, upper, level, n, "wilson"};
}

Estimable<Estimate> ClopperPearson(uint64_t k, uint64_t n, double level) {
  if (n == 0) {
    return Reason::kNoCases;
  }
  const double tail = 0.5 * (1 - level);
  const double hits = static_cast<double>(k);
  const double misses = static_cast<double>(n - k);
  const double lower = k == 0 ? 0 : BetaQuantile(tail, hits, misses + 1);
  const double upper = k == n ? 1 : BetaQuantile(1 - tail, hits + 1, misses);
  return Estimate{hits / static_cast<double>(n), lower, upper, level, n, "clopper_pearson"};
}

Estimable<Estimate> PairedProportionDifference(const PairedCounts& counts, double level) {
  const uint64_t n = counts.n();
  if (n == 0) {
    return Reason::kNoCases;
  }
  const Estimate first = *Wilson(counts.both + counts.only_first, n, level);
  const Estimate second = *Wilson(counts.both + counts.only_second, n, level);
  const double e = static_cast<double>(counts.both);
  const double f = static_cast<double>(counts.only_first);
  const double g = static_cast<double>(counts.only_second);
  const double h = static_cast<double>(counts.neither);
  const double margins = (e + f) * (g + h) * (e + g) * (f + h);
  double correlation = 0;
  if (margins > 0) {
    const double agreement = e * h - f * g;
    const double corrected = agreement > 0 ? std::max(agreement - 0.5 * static_cast<double>(n), 0.0) : agreement;
    correlation = corrected / std::sqrt(margins);
  }
  auto distance = [&](double one, double other) {
    return std::sqrt(std::max(0.0, one * one - 2 * correlation * one * other + other * other));
  };
  const double difference = (f - g) / static_cast<double>(n);
  return Estimate{difference,
                  std::max(-1.0, difference - distance(first.value - first.lower, second.upper - second.value)),
                  std::min(1.0, difference + distance(first.upper - first.value, second.value - second.lower)),
                  level,
                  n,
                  "newcombe_paired"};
}

}  // namespace cloister::eval
