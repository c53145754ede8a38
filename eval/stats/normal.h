#pragma once
// SPDX-License-Identifier: Apache-2.0
// The normal and beta distributions: just the functions that the intervals need.

namespace cloister::eval {

double NormalCdf(double z);

// Inverse of NormalCdf, relative error below 1e-12. `p` in (0, 1); 0 and 1 give -inf and inf.
double NormalQuantile(double p);

// The quantile of a two-sided interval: 1.96 for level 0.95.
double TwoSidedQuantile(double level);

// Regularised incomplete beta function I_x(a, b); a, b > 0, x in [0, 1]. Relative error about 1e-14 (Lentz's continued
// fraction, Numerical Recipes 6.4).
double IncompleteBeta(double a, double b, double x);

// x with I_x(a, b) = p, by safeguarded Newton steps; absolute error below 1e-13.
double BetaQuantile(double p, double a, double b);

}  // namespace cloister::eval
