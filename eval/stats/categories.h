#pragma once
// SPDX-License-Identifier: Apache-2.0
// A task with several classes, or with grades: how often right, on each class, and beyond chance.

#include "eval/metrics/case.h"
#include "eval/stats/agreement.h"
#include "eval/stats/measure.h"

namespace cloister::eval {

struct CategoryCases {
  std::vector<std::string> names;  // of the classes; grades from the lowest to the highest
  std::vector<uint32_t> patients;
  std::vector<uint32_t> truth;  // index into names
  std::vector<uint32_t> called;
  std::vector<std::vector<double>> scores;  // scores[class][case], probabilities; empty: none
};

// rows: truth, columns: called
CategoryCounts CountCategories(const CategoryCases& cases);

// accuracy, balanced_accuracy (mean sensitivity over classes), macro_f1, kappa, and with scores macro_auc (mean over
// classes, each against the rest; Hand and Till's M is another number). For grades also kappa_linear, kappa_quadratic,
// within_one and mean_grade_error. A class that no case has makes balanced_accuracy and macro_auc not estimable
// ("one_class"); Kappas have the interval of Fleiss, Cohen and Everitt where every patient has one case, everything
// else and everybody else the patient bootstrap.
std::vector<Measure> MeasureCategories(const CategoryCases& cases, bool ordinal, const BootstrapOptions& bootstrap);

// Of one class against the rest: sensitivity, specificity, ppv of the calls, and auc of the scores where there are any.
std::vector<Measure> MeasureCategory(const CategoryCases& cases, uint32_t category, const BootstrapOptions& bootstrap);

// Mean over tasks of a metric that ignores the threshold; scores are weighted by one resample of the patients. Each
// task has the same cases in the same order. The first reason met when one of them has none.
Estimable<Estimate> MacroMean(const std::vector<Cases>& tasks, std::string_view metric,
                              const BootstrapOptions& bootstrap);

}  // namespace cloister::eval
