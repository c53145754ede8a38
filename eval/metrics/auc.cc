// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/auc.h"

#include <algorithm>
#include <numeric>

namespace cloister::eval {

PairWins CountPairWins(CaseSpan cases) {
  std::vector<std::pair<double, bool>> sorted;
  sorted.reserve(cases.size());
  for (const Case& one : cases) {
    sorted.emplace_back(one.score, one.label);
  }
  std::sort(sorted.begin(), sorted.end());
  PairWins wins;
  uint64_t positives = 0;
  uint64_t negatives_below = 0;
  for (size_t begin = 0; begin < sorted.size();) {
    uint64_t positives_here = 0;
    uint64_t negatives_here = 0;
    size_t end = begin;
    for (; end < sorted.size() && sorted[end].first == sorted[begin].first; ++end) {
      ++(sorted[end].second ? positives_here : negatives_here);
    }
    wins.doubled_wins += positives_here * (2 * negatives_below + negatives_here);
    negatives_below += negatives_here;
    positives += positives_here;
    begin = end;
  }
  wins.pairs = positives * negatives_below;
  return wins;
}

Estimable<double> Auc(CaseSpan cases) {
  if (cases.empty()) {
    return Reason::kNoCases;
  }
  const PairWins wins = CountPairWins(cases);
  if (wins.pairs == 0) {
    return Reason::kOneClass;
  }
  return static_cast<double>(wins.doubled_wins) / (2 * static_cast<double>(wins.pairs));
}

std::vector<double> Midranks(absl::Span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) {
      ++end;
    }
    const double rank = 0.5 * static_cast<double>(begin + 1 + end);
    for (; begin < end; ++begin) {
      ranks[order[begin]] = rank;
    }
  }
  return ranks;
}

}  // namespace cloister::eval
