#pragma once
// SPDX-License-Identifier: Apache-2.0
// Student's t, Fisher's F and the chi-squared distribution, as far as intervals and tests need them.

namespace cloister::eval {

// P(T <= t) with `df` > 0 degrees of freedom.
double StudentCdf(double t, double df);
// Inverse of StudentCdf; `p` in (0, 1).
double StudentQuantile(double p, double df);
// t of a two-sided interval: 2.262 for level 0.95 and 9 degrees of freedom.
double TwoSidedStudentQuantile(double level, double df);

// x with P(F <= x) = p, F with `df1` and `df2` > 0 degrees of freedom; `p` in (0, 1).
double FisherQuantile(double p, double df1, double df2);

// P(X > x), X chi-squared with `df` > 0 degrees of freedom; relative error about 1e-13.
double ChiSquaredTail(double x, double df);

}  // namespace cloister::eval
