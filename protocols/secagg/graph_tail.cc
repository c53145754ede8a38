// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph_tail.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cloister::secagg {
namespace {

constexpr double kRoundingMargin = 1e-6;

double LogBinomial(int n, int k) {
  return std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0);
}

// log(exp(a) + exp(b)) for a finite b.
double LogAdd(double a, double b) {
  return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b)));
}

}  // namespace

double LogProbability(const Hypergeometric& distribution, int x) {
  const auto [population, marked, draws] = distribution;
  if (x < std::max(0, draws + marked - population) || x > std::min(draws, marked)) {
    return -std::numeric_limits<double>::infinity();
  }
  return LogBinomial(marked, x) + LogBinomial(population - marked, draws - x) - LogBinomial(population, draws);
}

int UpperQuantile(const Hypergeometric& distribution, double log_limit) {
  const auto [population, marked, draws] = distribution;
  int x = std::min(draws, marked);
  const int least = std::max(0, draws + marked - population);
  double log_probability = LogProbability(distribution, x);
  double log_tail = log_probability;  // log P[X >= x]
  while (x > least && log_tail < log_limit - kRoundingMargin) {
    // P[X = x - 1] / P[X = x], from the binomials.
    log_probability += std::log(static_cast<double>(x)) + std::log(population - marked - draws + x * 1.0) -
                       std::log(marked - x + 1.0) - std::log(draws - x + 1.0);
    --x;
    log_tail = LogAdd(log_tail, log_probability);
  }
  return x;
}

}  // namespace cloister::secagg
