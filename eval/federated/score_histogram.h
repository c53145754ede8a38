#pragma once
// SPDX-License-Identifier: Apache-2.0
// What a site adds to the secure sum instead of scores: how many positives and negatives fall into each of B equal bins
// of [0, 1], plus two integers that make the site-stratified AUC exact. The sums over all sites are all the coordinator
// sees.

#include <absl/types/span.h>

#include <cstdint>
#include <vector>

#include "eval/metrics/case.h"
#include "eval/metrics/confusion.h"
#include "eval/metrics/estimate.h"

namespace cloister::eval {

class ScoreHistogram {
 public:
  static constexpr int kMaxBins = 4096;
  static constexpr uint64_t kMaxCases = uint64_t{1} << 31;  // of a class, over all sites

  // INVALID_ARGUMENT: `bins` outside [2, kMaxBins].
  static absl::StatusOr<ScoreHistogram> Create(int bins);
  // INVALID_ARGUMENT: also for a score outside [0, 1].
  static absl::StatusOr<ScoreHistogram> FromCases(CaseSpan cases, int bins);

  // The declared number of counters for `bins`: positives, negatives, then doubled_wins and pairs.
  static size_t CounterCount(int bins) { return 2 * static_cast<size_t>(bins) + 2; }

  // For the secure sum; FromCounters reads one site's counters or the sum of many.
  std::vector<uint64_t> Counters() const;
  // INVALID_ARGUMENT: wrong length, more than kMaxCases of a class, or impossible pair counts.
  static absl::StatusOr<ScoreHistogram> FromCounters(int bins, absl::Span<const uint64_t> counters);

  // INVALID_ARGUMENT: different bins. RESOURCE_EXHAUSTED: more than kMaxCases of a class.
  absl::Status Merge(const ScoreHistogram& other);

  int bins() const { return static_cast<int>(positives_by_bin_.size()); }
  uint64_t positives() const { return positives_; }
  uint64_t negatives() const { return negatives_; }
  const std::vector<uint64_t>& positives_by_bin() const { return positives_by_bin_; }
  const std::vector<uint64_t>& negatives_by_bin() const { return negatives_by_bin_; }
  uint64_t doubled_wins() const { return doubled_wins_; }
  uint64_t pairs() const { return pairs_; }

  // Lower edge of bin b, b / bins: a threshold at an edge splits the histogram exactly as it splits the scores.
  double Edge(int bin) const { return static_cast<double>(bin) / bins(); }

  // The table when bins `bin` and above are positive.
  Confusion TableAt(int bin) const;
  // The table at `threshold`, rounded to the nearest edge.
  Confusion TableAtThreshold(double threshold) const;

 private:
  explicit ScoreHistogram(int bins) : positives_by_bin_(bins), negatives_by_bin_(bins) {}

  std::vector<uint64_t> positives_by_bin_;
  std::vector<uint64_t> negatives_by_bin_;
  uint64_t positives_ = 0;
  uint64_t negatives_ = 0;
  uint64_t doubled_wins_ = 0;  // per site: 2 * (pairs the positive wins) + ties; then summed
  uint64_t pairs_ = 0;         // per site: positives * negatives; then summed
};

// Bin of a score in [0, 1]; consistent with score >= b / bins for every b. 1 falls in the last bin.
int BinOf(double score, int bins);

}  // namespace cloister::eval
