#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where does it fail? Sensitivity, specificity and AUC in each subgroup, and whether they differ from those of
// everybody else by more than chance, corrected for asking so many questions.

#include <string>
#include <vector>

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"
#include "eval/stats/bootstrap.h"

namespace cloister::eval {

// What divides the cases: "sex", "manufacturer". of_case[i] is the level of case i, "" where it is not known.
struct SubgroupColumn {
  std::string name;
  std::vector<std::string> of_case;
};

struct SubgroupMetric {
  std::string metric;  // "sensitivity", "specificity", "auc"
  Estimable<Estimate> value = Reason::kNotMeasured;
  // This level minus all other cases whose level is known. kTooFewPatients: fewer than the minimum on either side.
  // method: newcombe_independent, delong_independent, or cluster_normal where patients repeat.
  Estimable<Estimate> difference = Reason::kNotMeasured;
  double p_value = 1;  // two-sided, before correction; 1 where there is no difference
  double holm_p = 1;   // over all differences of all columns
};

struct SubgroupLevel {
  std::string column;
  std::string level;
  uint64_t cases = 0;
  uint64_t patients = 0;
  uint64_t positive_patients = 0;
  std::vector<SubgroupMetric> metrics;
};

// In the order of the columns, levels by name. Requires as many levels in every column as there are cases.
std::vector<SubgroupLevel> AnalyseSubgroups(CaseSpan cases, double threshold,
                                            const std::vector<SubgroupColumn>& columns, uint64_t minimum_n,
                                            const BootstrapOptions& bootstrap);

// Share right in one group minus that in another, where patients are in one of them, independent.
struct GroupShare {
  uint64_t right = 0;
  uint64_t n = 0;
};
// Newcombe's method 10 for independent groups (Statist. Med. 1998, 17:873), from Wilson's intervals. kNoCases.
Estimable<Estimate> ProportionDifference(const GroupShare& one, const GroupShare& other, double level = 0.95);
// The pooled two-sample z test's two-sided p-value; 1 where all are right or all are wrong.
double ProportionTest(const GroupShare& one, const GroupShare& other);

}  // namespace cloister::eval
