// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/normal.h"

#include <cmath>
#include <limits>

namespace cloister::eval {
namespace {

// The continued fraction of the incomplete beta function by the modified Lentz method.
double BetaContinuedFraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  auto away_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double result = d;
  for (int m = 1; m <= 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    result *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    result *= d * c;
    if (std::abs(d * c - 1) < std::numeric_limits<double>::epsilon()) {
      break;
    }
  }
  return result;
}

double LogBetaDensity(double x, double a, double b) {
  return std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + (a - 1) * std::log(x) + (b - 1) * std::log1p(-x);
}

}  // namespace

double NormalCdf(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

double NormalQuantile(double p) {
  if (p <= 0 || p >= 1) {
    return p <= 0 ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }
  if (p > 0.5) {  // the lower tail keeps its digits
    return -NormalQuantile(1 - p);
  }
  // Abramowitz and Stegun 26.2.23 (error < 4.5e-4), then Newton's steps with Halley's correction.
  const double t = std::sqrt(-2 * std::log(p));
  double z = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
  for (int i = 0; i < 3; ++i) {
    const double density = std::exp(-0.5 * z * z) / std::sqrt(2 * M_PI);
    const double step = (NormalCdf(z) - p) / density;
    z -= step / (1 + 0.5 * z * step);
  }
  return z;
}

double TwoSidedQuantile(double level) {
  return NormalQuantile(0.5 + 0.5 * level);
}

double IncompleteBeta(double a, double b, double x) {
  if (x <= 0 || x >= 1) {
    return x <= 0 ? 0 : 1;
  }
  const double front = std::exp(LogBetaDensity(x, a, b) + std::log(x) + std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) {
    return front * BetaContinuedFraction(a, b, x) / a;
  }
  return 1 - front * BetaContinuedFraction(b, a, 1 - x) / b;
}

double BetaQuantile(double p, double a, double b) {
  if (p <= 0 || p >= 1) {
    return p <= 0 ? 0 : 1;
  }
  double below = 0;
  double above = 1;
  double x = a / (a + b);
  for (int i = 0; i < 200; ++i) {
    const double error = IncompleteBeta(a, b, x) - p;
    (error > 0 ? above : below) = x;
    double next = x - error * std::exp(-LogBetaDensity(x, a, b));
    if (!(next > below && next < above)) {
      next = 0.5 * (below + above);
    }
    if (std::abs(next - x) <= 1e-16 + 1e-15 * x) {
      return next;
    }
    x = next;
  }
  return x;
}

}  // namespace cloister::eval
