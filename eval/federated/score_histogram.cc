// SPDX-License-Identifier: Apache-2.0
#include "eval/federated/score_histogram.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "eval/metrics/auc.h"

namespace cloister::eval {
namespace {

// Sum of `counts`, or nothing when it is above kMaxCases (which also rules out overflow).
std::optional<uint64_t> SumUpToLimit(absl::Span<const uint64_t> counts) {
  uint64_t sum = 0;
  for (uint64_t count : counts) {
    if (count > ScoreHistogram::kMaxCases || sum + count > ScoreHistogram::kMaxCases) {
      return std::nullopt;
    }
    sum += count;
  }
  return sum;
}

}  // namespace

int BinOf(double score, int bins) {
  int bin = std::clamp(static_cast<int>(score * bins), 0, bins - 1);
  // The product can round to the other side of an edge; the comparison with the edge decides.
  while (bin + 1 < bins && score >= static_cast<double>(bin + 1) / bins) {
    ++bin;
  }
  while (bin > 0 && score < static_cast<double>(bin) / bins) {
    --bin;
  }
  return bin;
}

absl::StatusOr<ScoreHistogram> ScoreHistogram::Create(int bins) {
  if (bins < 2 || bins > kMaxBins) {
    return absl::InvalidArgumentError(fmt::format("a score histogram of {} bins; allowed are 2 to {}", bins, kMaxBins));
  }
  return ScoreHistogram(bins);
}

absl::StatusOr<ScoreHistogram> ScoreHistogram::FromCases(CaseSpan cases, int bins) {
  CLOISTER_ASSIGN_OR_RETURN(ScoreHistogram histogram, Create(bins));
  CLOISTER_RETURN_IF_ERROR(CheckCases(cases));
  for (const Case& one : cases) {
    const size_t bin = static_cast<size_t>(BinOf(one.score, bins));
    ++(one.label ? histogram.positives_by_bin_ : histogram.negatives_by_bin_)[bin];
    ++(one.label ? histogram.positives_ : histogram.negatives_);
  }
  const PairWins wins = CountPairWins(cases);
  histogram.doubled_wins_ = wins.doubled_wins;
  histogram.pairs_ = wins.pairs;
  return histogram;
}

std::vector<uint64_t> ScoreHistogram::Counters() const {
  std::vector<uint64_t> counters;
  counters.reserve(CounterCount(bins()));
  counters.insert(counters.end(), positives_by_bin_.begin(), positives_by_bin_.end());
  counters.insert(counters.end(), negatives_by_bin_.begin(), negatives_by_bin_.end());
  counters.push_back(doubled_wins_);
  counters.push_back(pairs_);
  return counters;
}

absl::StatusOr<ScoreHistogram> ScoreHistogram::FromCounters(int bins, absl::Span<const uint64_t> counters) {
  CLOISTER_ASSIGN_OR_RETURN(ScoreHistogram histogram, Create(bins));
  if (counters.size() != CounterCount(bins)) {
    return absl::InvalidArgumentError(fmt::format("{} counters for a histogram of {} bins; {} were declared",
                                                  counters.size(), bins, CounterCount(bins)));
  }
  const size_t width = static_cast<size_t>(bins);
  const std::optional<uint64_t> positives = SumUpToLimit(counters.subspan(0, width));
  const std::optional<uint64_t> negatives = SumUpToLimit(counters.subspan(width, width));
  if (!positives || !negatives) {
    return absl::InvalidArgumentError(fmt::format("score histogram: more than {} cases of one class", kMaxCases));
  }
  histogram.positives_by_bin_.assign(counters.begin(), counters.begin() + bins);
  histogram.negatives_by_bin_.assign(counters.begin() + bins, counters.begin() + 2 * bins);
  histogram.positives_ = *positives;
  histogram.negatives_ = *negatives;
  histogram.doubled_wins_ = counters[2 * width];
  histogram.pairs_ = counters[2 * width + 1];
  if (histogram.pairs_ > *positives * *negatives || histogram.doubled_wins_ > 2 * histogram.pairs_) {
    return absl::InvalidArgumentError(
        fmt::format("score histogram: {} half wins in {} pairs of {} positives and {} negatives",
                    histogram.doubled_wins_, histogram.pairs_, *positives, *negatives));
  }
  return histogram;
}

absl::Status ScoreHistogram::Merge(const ScoreHistogram& other) {
  if (other.bins() != bins()) {
    return absl::InvalidArgumentError(fmt::format("a histogram of {} bins added to one of {}", other.bins(), bins()));
  }
  if (positives_ + other.positives_ > kMaxCases || negatives_ + other.negatives_ > kMaxCases) {
    return absl::ResourceExhaustedError(fmt::format("score histogram: more than {} cases of one class", kMaxCases));
  }
  for (size_t bin = 0; bin < positives_by_bin_.size(); ++bin) {
    positives_by_bin_[bin] += other.positives_by_bin_[bin];
    negatives_by_bin_[bin] += other.negatives_by_bin_[bin];
  }
  positives_ += other.positives_;
  negatives_ += other.negatives_;
  doubled_wins_ += other.doubled_wins_;
  pairs_ += other.pairs_;
  return absl::OkStatus();
}

Confusion ScoreHistogram::TableAt(int bin) const {
  Confusion table;
  table.true_positives = std::accumulate(positives_by_bin_.begin() + bin, positives_by_bin_.end(), uint64_t{0});
  table.false_positives = std::accumulate(negatives_by_bin_.begin() + bin, negatives_by_bin_.end(), uint64_t{0});
  table.false_negatives = positives_ - table.true_positives;
  table.true_negatives = negatives_ - table.false_positives;
  return table;
}

Confusion ScoreHistogram::TableAtThreshold(double threshold) const {
  return TableAt(static_cast<int>(std::lround(std::clamp(threshold, 0.0, 1.0) * bins())));
}

}  // namespace cloister::eval
