#pragma once
// SPDX-License-Identifier: Apache-2.0
// Logistic recalibration (Cox 1958): which straight line through the scores' logits would calibrate them? Slope below
// one: the scores are too extreme. Intercept above zero: they are too low.

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

struct Recalibration {
  Estimate slope;      // b in logit P = a + b logit(score); 1 is ideal
  Estimate intercept;  // a in logit P = a + logit(score), calibration in the large; 0 is ideal
};

// Wald's intervals: from the information ("logistic"), or clustered by patient where patients repeat
// ("logistic_clustered", with the correction G/(G-1) (n-1)/(n-k)). Scores are clipped to [1e-15, 1 - 1e-15]. kNoCases;
// kOneClass; kNoVariation: one score only; kSeparated: a threshold divides the classes, so that no slope is steep
// enough.
Estimable<Recalibration> Recalibrate(CaseSpan cases, double level = 0.95);

}  // namespace cloister::eval
