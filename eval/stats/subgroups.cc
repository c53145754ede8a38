// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/subgroups.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "eval/metrics/metric.h"
#include "eval/stats/delong.h"
#include "eval/stats/holm.h"
#include "eval/stats/interval.h"
#include "eval/stats/normal.h"
#include "eval/stats/proportion.h"

namespace cloister::eval {
namespace {

struct Tested {
  Estimate difference;
  double p_value = 1;
};

double TwoSidedP(double z) {
  return 2 * NormalCdf(-std::abs(z));
}

Tested NormalDifference(double difference, double variance, double level, uint64_t n, const char* method) {
  const double half = TwoSidedQuantile(level) * std::sqrt(variance);
  return {Estimate{difference, std::max(-1.0, difference - half), std::min(1.0, difference + half), level, n, method},
          TwoSidedP(difference / std::sqrt(variance))};
}

// Of one class: is each case called rightly, and in which of the two groups is it?
struct Outcome {
  uint32_t patient;
  bool inside;
  bool right;
};

// The difference of two shares whose patients may have several cases, in one group or in both: linearised, summed by
// patient.
Estimable<Tested> ClusteredDifference(const std::vector<Outcome>& outcomes, const GroupShare& inside,
                                      const GroupShare& outside, double level) {
  const double share[2] = {static_cast<double>(outside.right) / static_cast<double>(outside.n),
                           static_cast<double>(inside.right) / static_cast<double>(inside.n)};
  const double size[2] = {static_cast<double>(outside.n), static_cast<double>(inside.n)};
  std::map<uint32_t, double> influence;
  for (const Outcome& one : outcomes) {
    const int group = one.inside ? 1 : 0;
    influence[one.patient] += (group == 1 ? 1 : -1) * ((one.right ? 1 : 0) - share[group]) / size[group];
  }
  double squares = 0;
  for (const auto& [patient, value] : influence) {
    squares += value * value;
  }
  const double patients = static_cast<double>(influence.size());
  const double variance = patients / (patients - 1) * squares;
  if (!(variance > 0)) {
    return Reason::kTooFewPatients;
  }
  return NormalDifference(share[1] - share[0], variance, level, influence.size(), "cluster_normal");
}

class Comparer {
 public:
  Comparer(double threshold, uint64_t minimum_n, const BootstrapOptions& bootstrap)
      : threshold_(threshold), minimum_n_(minimum_n), bootstrap_(bootstrap) {}

  Estimable<Tested> Compare(std::string_view metric, const Cases& inside, const Cases& outside) const {
    if (CountPatients(inside) < minimum_n_ || CountPatients(outside) < minimum_n_) {
      return Reason::kTooFewPatients;
    }
    return metric == "auc" ? CompareAuc(inside, outside) : CompareShare(metric == "sensitivity", inside, outside);
  }

 private:
  Estimable<Tested> CompareShare(bool label, const Cases& inside, const Cases& outside) const {
    std::vector<Outcome> outcomes;
    GroupShare shares[2];
    std::vector<uint32_t> patients;
    for (const Cases* group : {&outside, &inside}) {
      for (const Case& one : *group) {
        if (one.label == label) {
          const bool right = (one.score >= threshold_) == label;
          GroupShare& share = shares[group == &inside ? 1 : 0];
          ++share.n;
          share.right += right ? 1 : 0;
          patients.push_back(one.patient);
          outcomes.push_back({one.patient, group == &inside, right});
        }
      }
    }
    if (shares[0].n == 0 || shares[1].n == 0) {
      return label ? Reason::kNoPositives : Reason::kNoNegatives;
    }
    std::sort(patients.begin(), patients.end());
    if (std::adjacent_find(patients.begin(), patients.end()) != patients.end()) {
      return ClusteredDifference(outcomes, shares[1], shares[0], bootstrap_.level);
    }
    return Tested{*ProportionDifference(shares[1], shares[0], bootstrap_.level), ProportionTest(shares[1], shares[0])};
  }

  Estimable<Tested> CompareAuc(const Cases& inside, const Cases& outside) const {
    const Estimable<AucVariance> one = DeLong(inside);
    const Estimable<AucVariance> other = DeLong(outside);
    if (!one.ok() || !other.ok()) {
      return one.ok() ? other.reason() : one.reason();
    }
    Cases both = inside;
    both.insert(both.end(), outside.begin(), outside.end());
    const uint64_t patients = CountPatients(both);
    // With a patient on both sides the two are not independent; fully separated ones have no variance.
    if (CountPatients(inside) + CountPatients(outside) != patients || !(one->variance + other->variance > 0)) {
      return Reason::kTooFewPatients;
    }
    return NormalDifference(one->auc - other->auc, one->variance + other->variance, bootstrap_.level, patients,
                            "delong_independent");
  }

  double threshold_;
  uint64_t minimum_n_;
  BootstrapOptions bootstrap_;
};

void CorrectByHolm(std::vector<SubgroupLevel>& levels) {
  std::vector<double> p_values;
  for (const SubgroupLevel& level : levels) {
    for (const SubgroupMetric& metric : level.metrics) {
      if (metric.difference.ok()) {
        p_values.push_back(metric.p_value);
      }
    }
  }
  const std::vector<double> adjusted = Holm(p_values);
  size_t next = 0;
  for (SubgroupLevel& level : levels) {
    for (SubgroupMetric& metric : level.metrics) {
      if (metric.difference.ok()) {
        metric.holm_p = adjusted[next++];
      }
    }
  }
}

}  // namespace

Estimable<Estimate> ProportionDifference(const GroupShare& one, const GroupShare& other, double level) {
  const Estimable<Estimate> first = Wilson(one.right, one.n, level);
  const Estimable<Estimate> second = Wilson(other.right, other.n, level);
  if (!first.ok() || !second.ok()) {
    return Reason::kNoCases;
  }
  const double difference = first->value - second->value;
  return Estimate{difference,
                  difference - std::hypot(first->value - first->lower, second->upper - second->value),
                  difference + std::hypot(first->upper - first->value, second->value - second->lower),
                  level,
                  one.n + other.n,
                  "newcombe_independent"};
}

double ProportionTest(const GroupShare& one, const GroupShare& other) {
  const double n = static_cast<double>(one.n);
  const double m = static_cast<double>(other.n);
  const double pooled = static_cast<double>(one.right + other.right) / (n + m);
  const double variance = pooled * (1 - pooled) * (1 / n + 1 / m);
  if (!(variance > 0)) {
    return 1;
  }
  return TwoSidedP((static_cast<double>(one.right) / n - static_cast<double>(other.right) / m) / std::sqrt(variance));
}

std::vector<SubgroupLevel> AnalyseSubgroups(CaseSpan cases, double threshold,
                                            const std::vector<SubgroupColumn>& columns, uint64_t minimum_n,
                                            const BootstrapOptions& bootstrap) {
  const Comparer comparer(threshold, minimum_n, bootstrap);
  std::vector<SubgroupLevel> levels;
  for (const SubgroupColumn& column : columns) {
    std::set<std::string> names(column.of_case.begin(), column.of_case.end());
    names.erase("");
    for (const std::string& name : names) {
      Cases inside;
      Cases outside;
      for (size_t i = 0; i < cases.size(); ++i) {
        if (!column.of_case[i].empty()) {
          (column.of_case[i] == name ? inside : outside).push_back(cases[i]);
        }
      }
      Cases positives;
      std::copy_if(inside.begin(), inside.end(), std::back_inserter(positives),
                   [](const Case& one) { return one.label; });
      SubgroupLevel level{column.name, name, inside.size(), CountPatients(inside), CountPatients(positives), {}};
      for (const char* metric : {"sensitivity", "specificity", "auc"}) {
        SubgroupMetric result;
        result.metric = metric;
        result.value = EstimateMetric(*FindMetric(metric), inside, threshold, bootstrap);
        const Estimable<Tested> tested = comparer.Compare(metric, inside, outside);
        if (tested.ok()) {
          result.difference = tested->difference;
          result.p_value = tested->p_value;
        } else {
          result.difference = tested.reason();
        }
        level.metrics.push_back(std::move(result));
      }
      levels.push_back(std::move(level));
    }
  }
  CorrectByHolm(levels);
  return levels;
}

}  // namespace cloister::eval
