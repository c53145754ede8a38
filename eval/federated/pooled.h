#pragma once
// SPDX-License-Identifier: Apache-2.0
// Numbers over all sites from the summed histograms. Three AUCs are told apart: per site (SiteSummary),
// site-stratified, and pooled, which mixes in how scores shift between sites.

#include "eval/federated/score_histogram.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

struct PooledAuc {
  Estimate estimate;       // DeLong on the binned scores; method "delong_binned"
  double error_bound = 0;  // |binned AUC - exact AUC| <= 1/2 * sum over bins of p_b q_b
};

// kNoCases, kOneClass, kTooFewPatients. The interval takes cases as independent: sums do not show who repeats.
Estimable<PooledAuc> AucFromHistogram(const ScoreHistogram& sum, double level = 0.95);

// Wins over pairs within sites: each site's AUC weighted by its positives times negatives. Exact. kOneClass: no site
// has both classes.
Estimable<double> SiteStratifiedAuc(const ScoreHistogram& sum);

// Wilson, at `threshold` rounded to the nearest bin edge. kNoPositives, kNoNegatives.
Estimable<Estimate> SensitivityFromHistogram(const ScoreHistogram& sum, double threshold, double level = 0.95);
Estimable<Estimate> SpecificityFromHistogram(const ScoreHistogram& sum, double threshold, double level = 0.95);

}  // namespace cloister::eval
