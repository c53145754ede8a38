#pragma once
// SPDX-License-Identifier: Apache-2.0
// DeLong's variance of an AUC and of the paired difference of two, in O(n log n) by midranks (Sun and Xu 2014).
// Patients with several cases are handled by Obuchowski's clustered form (Biometrics 1997), which is DeLong's where
// every patient has one case.

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

struct AucVariance {
  double auc = 0;
  double variance = 0;  // 0 when the classes are fully separated: no interval can be built on it
};

// kNoCases, kOneClass; kTooFewPatients: one patient only in a class.
Estimable<AucVariance> DeLong(CaseSpan cases);

struct AucDifference {
  double difference = 0;  // AUC of `cases` minus AUC of `other_scores`
  double variance = 0;
  double z = 0;        // 0 when the variance is 0
  double p_value = 1;  // two-sided
};

// `other_scores[i]` is the other model's score of `cases[i]`. Same reasons as DeLong. Requires equal lengths.
Estimable<AucDifference> DeLongPaired(CaseSpan cases, absl::Span<const double> other_scores);

}  // namespace cloister::eval
