// SPDX-License-Identifier: Apache-2.0
#include "eval/federated/pooled.h"

#include <algorithm>
#include <cmath>

#include "eval/stats/interval.h"
#include "eval/stats/normal.h"
#include "eval/stats/proportion.h"

namespace cloister::eval {

Estimable<PooledAuc> AucFromHistogram(const ScoreHistogram& sum, double level) {
  const double positives = static_cast<double>(sum.positives());
  const double negatives = static_cast<double>(sum.negatives());
  if (positives == 0 && negatives == 0) {
    return Reason::kNoCases;
  }
  if (positives == 0 || negatives == 0) {
    return Reason::kOneClass;
  }
  if (positives < 2 || negatives < 2) {
    return Reason::kTooFewPatients;
  }
  const size_t bins = sum.positives_by_bin().size();
  // Placements of the scores as if all of a bin were tied: DeLong's variance needs only how many share each.
  std::vector<double> beats(bins);   // of a positive in the bin: share of negatives below
  std::vector<double> beaten(bins);  // of a negative in the bin: share of positives above
  double negatives_below = 0;
  double positives_below = 0;
  double auc = 0;
  double overlap = 0;
  for (size_t bin = 0; bin < bins; ++bin) {
    const double p = static_cast<double>(sum.positives_by_bin()[bin]);
    const double q = static_cast<double>(sum.negatives_by_bin()[bin]);
    beats[bin] = (negatives_below + 0.5 * q) / negatives;
    beaten[bin] = 1 - (positives_below + 0.5 * p) / positives;
    auc += p * beats[bin] / positives;
    overlap += p / positives * (q / negatives);
    negatives_below += q;
    positives_below += p;
  }
  double spread[2] = {0, 0};
  for (size_t bin = 0; bin < bins; ++bin) {
    spread[0] += static_cast<double>(sum.positives_by_bin()[bin]) * (beats[bin] - auc) * (beats[bin] - auc);
    spread[1] += static_cast<double>(sum.negatives_by_bin()[bin]) * (beaten[bin] - auc) * (beaten[bin] - auc);
  }
  const double variance = spread[0] / (positives - 1) / positives + spread[1] / (negatives - 1) / negatives;
  PooledAuc result;
  result.error_bound = 0.5 * overlap;
  if (auc >= 1 || auc <= 0 || variance <= 0) {
    result.estimate = NewcombeAuc(std::clamp(auc, 0.0, 1.0), sum.positives(), sum.negatives(), level);
  } else {
    const double half = TwoSidedQuantile(level) * std::sqrt(variance);
    result.estimate = {auc,   std::max(0.0, auc - half),         std::min(1.0, auc + half),
                       level, sum.positives() + sum.negatives(), "delong_binned"};
  }
  return result;
}

Estimable<double> SiteStratifiedAuc(const ScoreHistogram& sum) {
  if (sum.pairs() == 0) {
    return Reason::kOneClass;
  }
  return static_cast<double>(sum.doubled_wins()) / (2 * static_cast<double>(sum.pairs()));
}

Estimable<Estimate> SensitivityFromHistogram(const ScoreHistogram& sum, double threshold, double level) {
  const Confusion table = sum.TableAtThreshold(threshold);
  if (table.positives() == 0) {
    return Reason::kNoPositives;
  }
  return Wilson(table.true_positives, table.positives(), level);
}

Estimable<Estimate> SpecificityFromHistogram(const ScoreHistogram& sum, double threshold, double level) {
  const Confusion table = sum.TableAtThreshold(threshold);
  if (table.negatives() == 0) {
    return Reason::kNoNegatives;
  }
  return Wilson(table.true_negatives, table.negatives(), level);
}

}  // namespace cloister::eval
