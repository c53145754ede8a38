// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/student.h"

#include <cmath>
#include <limits>

#include "eval/stats/normal.h"

namespace cloister::eval {
namespace {

// The upper incomplete gamma function by its continued fraction (modified Lentz), for x > a + 1.
double UpperGammaFraction(double a, double x) {
  constexpr double kTiny = 1e-300;
  double b = x + 1 - a;
  double c = 1 / kTiny;
  double d = 1 / b;
  double fraction = d;
  for (int i = 1; i <= 10000; ++i) {
    const double an = -i * (i - a);
    b += 2;
    d = an * d + b;
    d = 1 / (std::abs(d) < kTiny ? kTiny : d);
    c = b + an / c;
    c = std::abs(c) < kTiny ? kTiny : c;
    fraction *= d * c;
    if (std::abs(d * c - 1) < std::numeric_limits<double>::epsilon()) {
      break;
    }
  }
  return fraction;
}

// The lower incomplete gamma function by its series, for x <= a + 1.
double LowerGammaSeries(double a, double x) {
  double term = 1 / a;
  double sum = term;
  for (int i = 1; i <= 10000 && term > sum * std::numeric_limits<double>::epsilon() / 2; ++i) {
    term *= x / (a + i);
    sum += term;
  }
  return sum;
}

}  // namespace

double StudentCdf(double t, double df) {
  const double tail = 0.5 * IncompleteBeta(0.5 * df, 0.5, df / (df + t * t));
  return t > 0 ? 1 - tail : tail;
}

double StudentQuantile(double p, double df) {
  if (p == 0.5) {
    return 0;
  }
  if (p > 0.5) {  // the lower tail keeps its digits
    return -StudentQuantile(1 - p, df);
  }
  const double x = BetaQuantile(2 * p, 0.5 * df, 0.5);
  double t = -std::sqrt(df * (1 - x) / x);
  // x has fewer digits the smaller it is: Newton's steps give them back.
  for (int i = 0; i < 3; ++i) {
    const double log_density = std::lgamma(0.5 * (df + 1)) - std::lgamma(0.5 * df) - 0.5 * std::log(df * M_PI) -
                               0.5 * (df + 1) * std::log1p(t * t / df);
    t -= (StudentCdf(t, df) - p) / std::exp(log_density);
  }
  return t;
}

double TwoSidedStudentQuantile(double level, double df) {
  return StudentQuantile(0.5 + 0.5 * level, df);
}

double FisherQuantile(double p, double df1, double df2) {
  const double x = BetaQuantile(p, 0.5 * df1, 0.5 * df2);
  const double rest = BetaQuantile(1 - p, 0.5 * df2, 0.5 * df1);
  return x < 0.5 ? df2 * x / (df1 * (1 - x)) : df2 * (1 - rest) / (df1 * rest);
}

double ChiSquaredTail(double x, double df) {
  if (x <= 0) {
    return 1;
  }
  const double a = 0.5 * df;
  const double y = 0.5 * x;
  const double front = std::exp(a * std::log(y) - y - std::lgamma(a));
  return y > a + 1 ? front * UpperGammaFraction(a, y) : 1 - front * LowerGammaSeries(a, y);
}

}  // namespace cloister::eval
