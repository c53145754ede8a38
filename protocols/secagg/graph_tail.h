#pragma once
// SPDX-License-Identifier: Apache-2.0
// Tails of the hypergeometric distribution in log space: how many colluders or dropouts a random neighbourhood has.
// Natural logarithms throughout; probabilities far below what a double can hold are fine.

namespace cloister::secagg {

// X = how many of `draws` sites, drawn without replacement from `population`, are among the `marked`.
struct Hypergeometric {
  int population = 0;
  int marked = 0;  // 0 to population
  int draws = 0;   // 0 to population
};

// log P[X = x]; minus infinity where it cannot be. Error below 1e-7 for populations up to a million.
double LogProbability(const Hypergeometric& distribution, int x);

// The smallest x with log P[X > x] < log_limit, for a negative log_limit. Rounding errors count against us: x may only
// come out too large, by one, when the tail is within a millionth of the limit.
int UpperQuantile(const Hypergeometric& distribution, double log_limit);

}  // namespace cloister::secagg
