#pragma once
// SPDX-License-Identifier: Apache-2.0
// Bootstrap intervals by patient, stratified by class, with a recorded seed: the same seed gives the same interval on
// every machine.

#include <functional>

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

struct BootstrapOptions {
  int replicates = 2000;
  uint64_t seed = 1;
  double level = 0.95;
  bool bca = false;  // bias-corrected and accelerated (Davison and Hinkley 1997, 5.3.2); else percentile
};

// A statistic of the cases with these positions (repeats allowed), e.g. a metric of one model or a difference of two.
using Statistic = std::function<Estimable<double>(absl::Span<const uint32_t> positions)>;

// Whole patients are drawn with replacement within strata: patients with positive cases only, with negative only, with
// both. Replicates in which the statistic is not estimable are left out. n: patients. method: bootstrap_percentile or
// bootstrap_bca. The statistic's own reason when it is not estimable on the data; kTooFewPatients: on fewer than half
// of the replicates.
Estimable<Estimate> Bootstrap(CaseSpan cases, const Statistic& statistic, const BootstrapOptions& options);

}  // namespace cloister::eval
