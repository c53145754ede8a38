#pragma once
// SPDX-License-Identifier: Apache-2.0
// The interval this project gives for each metric, chosen by rules that are the same at every site:
//   AUC                 DeLong, clipped to [0, 1]; with fewer than 20 patients in a class, or AUC >= 0.98, the patient
//   bootstrap; fully
//                       separated classes: Newcombe's score-type interval (Statist. Med. 2006, method 5), which never
//                       collapses to a point
//   sens, spec, PPV,    Wilson where every patient has one case; else the patient bootstrap, and Wilson over the number
//   of patients NPV                 where all replicates agree anything else       the patient bootstrap

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"
#include "eval/metrics/metric.h"
#include "eval/stats/bootstrap.h"

namespace cloister::eval {

// The metric's own reasons. `threshold` matters only to metrics that have one.
Estimable<Estimate> EstimateMetric(const Metric& metric, CaseSpan cases, double threshold,
                                   const BootstrapOptions& bootstrap = {});

// Metric of `cases` minus metric of the other model on the same cases, paired. Identical scores and thresholds: 0 with
// no width.
//   AUC           DeLong's covariance; if that variance is 0, the intervals of both are combined (MOVER, Zou and Donner
//   2008) sens, spec    Newcombe's method 10 where every patient has one case else          the patient bootstrap;
//   kTooFewPatients when all its replicates agree
// Requires equal lengths.
Estimable<Estimate> EstimateDifference(const Metric& metric, CaseSpan cases, absl::Span<const double> other_scores,
                                       double threshold, double other_threshold,
                                       const BootstrapOptions& bootstrap = {});

// Newcombe's method 5 for an AUC of `auc` seen on m positives and n negatives; holds at 0 and 1 too.
Estimate NewcombeAuc(double auc, uint64_t m, uint64_t n, double level = 0.95);

}  // namespace cloister::eval
