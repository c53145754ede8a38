// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/delong.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "eval/metrics/auc.h"
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
  std::vector<double> of_class[2];
  for (size_t i = 0; i < cases.size(); ++i) {
    of_class[cases[i].label ? 1 : 0].push_back(scores[i]);
  }
  const std::vector<double> rank = Midranks(scores);
  const std::vector<double> rank_in_class[2] = {Midranks(of_class[0]), Midranks(of_class[1])};
  Placements placements;
  placements.of_case.reserve(cases.size());
  size_t next[2] = {0, 0};
  for (size_t i = 0; i < cases.size(); ++i) {
    const int label = cases[i].label ? 1 : 0;
    const double others_below = rank[i] - rank_in_class[label][next[label]++];
    placements.of_case.push_back(label == 1 ? others_below / static_cast<double>(negatives)
                                            : 1 - others_below / static_cast<double>(positives));
    placements.auc += label == 1 ? placements.of_case.back() : 0;
  }
  placements.auc /= static_cast<double>(positives);
  return placements;
}

// What one patient contributes to either class: number of cases and sum of placements.
struct Cluster {
  double cases[2] = {0, 0};
  double sum[2] = {0, 0};
};

// Obuchowski's variance of the mean placement `mean`.
Estimable<double> ClusteredVariance(CaseSpan cases, const std::vector<double>& placements, double mean) {
  std::unordered_map<uint32_t, size_t> index;
  std::vector<Cluster> clusters;  // in order of first appearance, so that sums do not depend on hashing
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto [place, is_new] = index.emplace(cases[i].patient, clusters.size());
    if (is_new) {
      clusters.emplace_back();
    }
    const int label = cases[i].label ? 1 : 0;
    clusters[place->second].cases[label] += 1;
    clusters[place->second].sum[label] += placements[i];
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
