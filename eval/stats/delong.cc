// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/delong.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "eval/stats/normal.h"

namespace cloister::eval {
namespace {

// For each case, the share of the other class that it beats (a positive) or is beaten by (a negative); ties one half.
// Their mean within either class is the AUC.
struct Placements {
  std::vector<double> of_case;
  double auc = 0;
};

Placements Place(CaseSpan cases, absl::Span<const double> scores, uint64_t positives, uint64_t negatives) {
  std::vector<std::pair<double, uint32_t>> sorted;
  sorted.reserve(cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    sorted.emplace_back(scores[i], static_cast<uint32_t>(i));
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Placements placements;
  placements.of_case.resize(cases.size());
  uint64_t below[2] = {0, 0};  // cases of either class with a lower score
  for (size_t begin = 0; begin < sorted.size();) {
    uint64_t here[2] = {0, 0};
    size_t end = begin;
    for (; end < sorted.size() && sorted[end].first == sorted[begin].first; ++end) {
      ++here[cases[sorted[end].second].label ? 1 : 0];
    }
    const double beaten[2] = {static_cast<double>(below[0]) + 0.5 * static_cast<double>(here[0]),
                              static_cast<double>(below[1]) + 0.5 * static_cast<double>(here[1])};
    for (; begin < end; ++begin) {
      const uint32_t i = sorted[begin].second;
      placements.of_case[i] =
          cases[i].label ? beaten[0] / static_cast<double>(negatives) : 1 - beaten[1] / static_cast<double>(positives);
    }
    below[0] += here[0];
    below[1] += here[1];
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    placements.auc += cases[i].label ? placements.of_case[i] : 0;
  }
  placements.auc /= static_cast<double>(positives);
  return placements;
}

// What one patient contributes to either class: number of cases and sum of placements.
struct Cluster {
  double cases[2] = {0, 0};
  double sum[2] = {0, 0};
};

// The cluster of each case, numbered in order of first appearance; `clusters` gets as many.
std::vector<uint32_t> ClustersOf(CaseSpan cases, std::vector<Cluster>& clusters) {
  uint32_t highest = 0;
  for (const Case& one : cases) {
    highest = std::max(highest, one.patient);
  }
  constexpr uint32_t kNone = 0xffffffff;
  std::vector<uint32_t> cluster_of;
  cluster_of.reserve(cases.size());
  auto assign = [&](uint32_t& place) {
    if (place == kNone) {
      place = static_cast<uint32_t>(clusters.size());
      clusters.emplace_back();
    }
    cluster_of.push_back(place);
  };
  if (highest / 8 <= cases.size()) {  // a table by patient, where that is not much larger than the cases
    std::vector<uint32_t> table(size_t{highest} + 1, kNone);
    for (const Case& one : cases) {
      assign(table[one.patient]);
    }
    return cluster_of;
  }
  std::unordered_map<uint32_t, uint32_t> map;
  for (const Case& one : cases) {
    assign(map.emplace(one.patient, kNone).first->second);
  }
  return cluster_of;
}

// Obuchowski's variance of the mean placement `mean`.
Estimable<double> ClusteredVariance(CaseSpan cases, const std::vector<double>& placements, double mean) {
  std::vector<Cluster> clusters;
  const std::vector<uint32_t> cluster_of = ClustersOf(cases, clusters);
  for (size_t i = 0; i < cases.size(); ++i) {
    const int label = cases[i].label ? 1 : 0;
    clusters[cluster_of[i]].cases[label] += 1;
    clusters[cluster_of[i]].sum[label] += placements[i];
  }
  double total[2] = {0, 0};
  double patients[2] = {0, 0};
  double squares[2] = {0, 0};
  double products = 0;
  for (const Cluster& cluster : clusters) {
    double deviation[2];
    for (int label : {0, 1}) {
      deviation[label] = cluster.sum[label] - cluster.cases[label] * mean;
      total[label] += cluster.cases[label];
      patients[label] += cluster.cases[label] > 0 ? 1 : 0;
      squares[label] += deviation[label] * deviation[label];
    }
    products += deviation[0] * deviation[1];
  }
  if (patients[0] < 2 || patients[1] < 2) {
    return Reason::kTooFewPatients;
  }
  const double all = static_cast<double>(clusters.size());
  double variance = 2 * all / (all - 1) * products / (total[0] * total[1]);
  for (int label : {0, 1}) {
    variance += patients[label] / (patients[label] - 1) * squares[label] / (total[label] * total[label]);
  }
  return std::max(variance, 0.0);
}

std::vector<double> ScoresOf(CaseSpan cases) {
  std::vector<double> scores;
  scores.reserve(cases.size());
  for (const Case& one : cases) {
    scores.push_back(one.score);
  }
  return scores;
}

struct ClassCounts {
  uint64_t positives = 0;
  uint64_t negatives = 0;
};

Estimable<ClassCounts> BothClasses(CaseSpan cases) {
  if (cases.empty()) {
    return Reason::kNoCases;
  }
  ClassCounts counts;
  for (const Case& one : cases) {
    ++(one.label ? counts.positives : counts.negatives);
  }
  if (counts.positives == 0 || counts.negatives == 0) {
    return Reason::kOneClass;
  }
  return counts;
}

}  // namespace

Estimable<AucVariance> DeLong(CaseSpan cases) {
  const Estimable<ClassCounts> counts = BothClasses(cases);
  if (!counts.ok()) {
    return counts.reason();
  }
  const Placements placements = Place(cases, ScoresOf(cases), counts->positives, counts->negatives);
  const Estimable<double> variance = ClusteredVariance(cases, placements.of_case, placements.auc);
  if (!variance.ok()) {
    return variance.reason();
  }
  return AucVariance{placements.auc, *variance};
}

Estimable<AucDifference> DeLongPaired(CaseSpan cases, absl::Span<const double> other_scores) {
  const Estimable<ClassCounts> counts = BothClasses(cases);
  if (!counts.ok()) {
    return counts.reason();
  }
  const Placements ours = Place(cases, ScoresOf(cases), counts->positives, counts->negatives);
  const Placements theirs = Place(cases, other_scores, counts->positives, counts->negatives);
  std::vector<double> differences(cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    differences[i] = ours.of_case[i] - theirs.of_case[i];
  }
  const double difference = ours.auc - theirs.auc;
  const Estimable<double> variance = ClusteredVariance(cases, differences, difference);
  if (!variance.ok()) {
    return variance.reason();
  }
  AucDifference result{difference, *variance};
  if (result.variance > 0) {
    result.z = difference / std::sqrt(result.variance);
    result.p_value = 2 * NormalCdf(-std::abs(result.z));
  }
  return result;
}

}  // namespace cloister::eval
