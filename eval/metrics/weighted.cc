// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/weighted.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "eval/metrics/calibration.h"

namespace cloister::eval {
namespace {

// All that a pass needs to know of a case: a byte, so that the pass is bound by the weights.
constexpr uint8_t kPositive = 1;
constexpr uint8_t kEndsTie = 2;
using Marks = std::vector<uint8_t>;

std::shared_ptr<const Marks> MarksOf(const SortedCases& sorted) {
  auto marks = std::make_shared<Marks>(sorted.size());
  for (size_t i = 0; i < sorted.size(); ++i) {
    (*marks)[i] = (sorted.cases()[i].label ? kPositive : 0) | (sorted.EndsTie(i) ? kEndsTie : 0);
  }
  return marks;
}

std::shared_ptr<const std::vector<double>> ScoresOf(const SortedCases& sorted) {
  auto scores = std::make_shared<std::vector<double>>();
  for (const Case& one : sorted.cases()) {
    scores->push_back(one.score);
  }
  return scores;
}

struct BinSum {
  uint64_t n = 0;
  uint64_t positives = 0;
  double score = 0;
};

// n_b / n * |observed - mean score| of one bin, times n.
double Miss(const BinSum& bin) {
  return bin.n == 0 ? 0 : std::abs(static_cast<double>(bin.positives) - bin.score);
}

Estimable<double> Ece(const std::vector<BinSum>& bins) {
  uint64_t total = 0;
  double sum = 0;
  for (const BinSum& bin : bins) {
    total += bin.n;
    sum += Miss(bin);
  }
  if (total == 0) {
    return Reason::kNoCases;
  }
  return sum / static_cast<double>(total);
}

// Puts one score's weights at a time, so that the order of equal cases does not change the rounding.
class BinFiller {
 public:
  explicit BinFiller(const Marks& marks) : marks_(marks) {}
  // True at the last case of a score, when `bin` has got them all.
  bool Put(size_t i, uint64_t weight, double score, BinSum& bin) {
    n_ += weight;
    positives_ += (marks_[i] & kPositive) != 0 ? weight : 0;
    if ((marks_[i] & kEndsTie) == 0) {
      return false;
    }
    bin.n += n_;
    bin.positives += positives_;
    bin.score += static_cast<double>(n_) * score;
    n_ = positives_ = 0;
    return true;
  }

 private:
  const Marks& marks_;
  uint64_t n_ = 0;
  uint64_t positives_ = 0;
};

}  // namespace

SortedCases::SortedCases(CaseSpan cases) : order_(cases.size()) {
  std::iota(order_.begin(), order_.end(), uint32_t{0});
  std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
    const Case& one = cases[a];
    const Case& other = cases[b];
    return one.score != other.score ? one.score < other.score : one.label != other.label ? other.label : a < b;
  });
  cases_.reserve(cases.size());
  for (uint32_t position : order_) {
    cases_.push_back(cases[position]);
  }
}

WeightedStatistic WeightedAuc(const SortedCases& sorted) {
  return [marks = MarksOf(sorted)](Weights weights) -> Estimable<double> {
    uint64_t doubled_wins = 0;
    uint64_t positives = 0;
    uint64_t negatives_below = 0;
    uint64_t here[2] = {0, 0};
    uint64_t total = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      const uint8_t mark = (*marks)[i];
      here[mark & kPositive] += weights[i];
      if ((mark & kEndsTie) != 0) {
        doubled_wins += here[1] * (2 * negatives_below + here[0]);
        negatives_below += here[0];
        positives += here[1];
        total += here[0] + here[1];
        here[0] = here[1] = 0;
      }
    }
    if (total == 0) {
      return Reason::kNoCases;
    }
    if (positives == 0 || negatives_below == 0) {
      return Reason::kOneClass;
    }
    return static_cast<double>(doubled_wins) /
           (2 * static_cast<double>(positives) * static_cast<double>(negatives_below));
  };
}

WeightedStatistic WeightedAveragePrecision(const SortedCases& sorted) {
  return [marks = MarksOf(sorted)](Weights weights) -> Estimable<double> {
    double sum = 0;
    uint64_t positives = 0;
    uint64_t called = 0;
    for (size_t i = weights.size(); i > 0;) {
      uint64_t gained = 0;
      do {
        --i;
        called += weights[i];
        gained += ((*marks)[i] & kPositive) != 0 ? weights[i] : 0;
      } while (i > 0 && ((*marks)[i - 1] & kEndsTie) == 0);
      positives += gained;
      if (gained > 0) {
        sum += static_cast<double>(gained) * static_cast<double>(positives) / static_cast<double>(called);
      }
    }
    if (positives == 0) {
      return called == 0 ? Reason::kNoCases : Reason::kNoPositives;
    }
    return sum / static_cast<double>(positives);
  };
}

WeightedStatistic WeightedMean(std::vector<double> values) {
  auto shared = std::make_shared<const std::vector<double>>(std::move(values));
  return [shared](Weights weights) -> Estimable<double> {
    double sum = 0;
    uint64_t total = 0;
    uint64_t run = 0;  // of equal values, so that their order does not change the rounding
    for (size_t i = 0; i < weights.size(); ++i) {
      run += weights[i];
      if (i + 1 == weights.size() || (*shared)[i + 1] != (*shared)[i]) {
        sum += static_cast<double>(run) * (*shared)[i];
        total += run;
        run = 0;
      }
    }
    if (total == 0) {
      return Reason::kNoCases;
    }
    return sum / static_cast<double>(total);
  };
}

WeightedStatistic WeightedBrier(const SortedCases& sorted) {
  std::vector<double> values;
  for (const Case& one : sorted.cases()) {
    values.push_back(*Brier({&one, 1}));
  }
  return WeightedMean(std::move(values));
}

WeightedStatistic WeightedLogLoss(const SortedCases& sorted) {
  std::vector<double> values;
  for (const Case& one : sorted.cases()) {
    values.push_back(*LogLoss({&one, 1}));
  }
  return WeightedMean(std::move(values));
}

WeightedStatistic WeightedEceEqualWidth(const SortedCases& sorted) {
  auto scores = ScoresOf(sorted);
  auto bin_of = std::make_shared<std::vector<uint8_t>>();
  for (double score : *scores) {
    bin_of->push_back(static_cast<uint8_t>(std::min(static_cast<int>(score * kCalibrationBins), kCalibrationBins - 1)));
  }
  return [scores, bin_of, marks = MarksOf(sorted)](Weights weights) {
    std::vector<BinSum> bins(kCalibrationBins);
    BinFiller filler(*marks);
    for (size_t i = 0; i < weights.size(); ++i) {
      filler.Put(i, weights[i], (*scores)[i], bins[(*bin_of)[i]]);
    }
    return Ece(bins);
  };
}

WeightedStatistic WeightedEceEqualMass(const SortedCases& sorted) {
  return [scores = ScoresOf(sorted), marks = MarksOf(sorted)](Weights weights) {
    const uint64_t total = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    std::vector<BinSum> bins(1);
    uint64_t seen = 0;
    uint64_t bin = 1;
    auto bin_end = [&] {  // the first end of an equal share beyond what has been seen
      while (bin < kCalibrationBins && total * bin / kCalibrationBins <= seen) {
        ++bin;
      }
      return total * bin / kCalibrationBins;
    };
    uint64_t end = bin_end();
    BinFiller filler(*marks);
    for (size_t i = 0; i < weights.size(); ++i) {
      seen += weights[i];
      if (filler.Put(i, weights[i], (*scores)[i], bins.back()) && seen >= end) {
        end = bin_end();
        bins.emplace_back();
      }
    }
    return Ece(bins);
  };
}

WeightedStatistic WeightedTable(const SortedCases& sorted, double threshold,
                                std::function<Estimable<double>(const Confusion&)> ratio) {
  const CaseSpan cases = sorted.cases();
  const size_t cut =
      std::partition_point(cases.begin(), cases.end(), [&](const Case& one) { return one.score < threshold; }) -
      cases.begin();
  return [marks = MarksOf(sorted), cut, ratio = std::move(ratio)](Weights weights) {
    uint64_t counts[2][2] = {{0, 0}, {0, 0}};  // [called][positive]
    for (size_t i = 0; i < weights.size(); ++i) {
      counts[i >= cut ? 1 : 0][(*marks)[i] & kPositive] += weights[i];
    }
    return ratio(Confusion{counts[1][1], counts[0][1], counts[0][0], counts[1][0]});
  };
}

}  // namespace cloister::eval
