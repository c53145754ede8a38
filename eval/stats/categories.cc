// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/categories.h"

#include <cmath>
#include <functional>
#include <memory>
#include <optional>

#include "eval/metrics/metric.h"
#include "eval/stats/interval.h"

namespace cloister::eval {
namespace {

CategoryCounts CountWeighted(const CategoryCases& cases, const std::function<uint64_t(size_t)>& weight) {
  CategoryCounts counts(cases.names.size(), std::vector<uint64_t>(cases.names.size()));
  for (size_t i = 0; i < cases.truth.size(); ++i) {
    counts[cases.truth[i]][cases.called[i]] += weight(i);
  }
  return counts;
}

// Of one class: right, all that have it, all that were called it.
struct Line {
  double right = 0;
  double truth = 0;
  double called = 0;
};

std::vector<Line> LinesOf(const CategoryCounts& counts) {
  std::vector<Line> lines(counts.size());
  for (size_t i = 0; i < counts.size(); ++i) {
    lines[i].right = static_cast<double>(counts[i][i]);
    for (size_t j = 0; j < counts.size(); ++j) {
      lines[i].truth += static_cast<double>(counts[i][j]);
      lines[j].called += static_cast<double>(counts[i][j]);
    }
  }
  return lines;
}

Estimable<double> BalancedAccuracy(const CategoryCounts& counts) {
  double sum = 0;
  for (const Line& line : LinesOf(counts)) {
    if (line.truth == 0) {
      return Reason::kOneClass;
    }
    sum += line.right / line.truth;
  }
  return sum / static_cast<double>(counts.size());
}

// A class neither present nor called counts 0, as scikit-learn has it.
Estimable<double> MacroF1(const CategoryCounts& counts) {
  double sum = 0;
  for (const Line& line : LinesOf(counts)) {
    sum += line.truth + line.called > 0 ? 2 * line.right / (line.truth + line.called) : 0;
  }
  return sum / static_cast<double>(counts.size());
}

class Categories {
 public:
  Categories(const CategoryCases& cases, const BootstrapOptions& bootstrap)
      : cases_(cases), bootstrap_(bootstrap), sampler_(PatientSampler::FromAll(cases.patients)) {}

  Estimable<Estimate> OfCounts(const std::function<Estimable<double>(const CategoryCounts&)>& number) const {
    return Bootstrap(
        sampler_, [&](Weights weights) { return number(CountWeighted(cases_, [&](size_t i) { return weights[i]; })); },
        bootstrap_);
  }

  Estimable<Estimate> OfKappa(KappaWeights weights) const {
    if (!PatientsRepeat(cases_.patients)) {
      return KappaInterval(CountCategories(cases_), weights, bootstrap_.level);
    }
    return OfCounts([weights](const CategoryCounts& counts) { return Kappa(counts, weights); });
  }

  Estimable<Estimate> ShareApart(uint32_t at_most) const {
    std::vector<bool> right;
    for (size_t i = 0; i < cases_.truth.size(); ++i) {
      right.push_back(Apart(i) <= at_most);
    }
    return ShareOfCases(right, cases_.patients, bootstrap_);
  }

  Estimable<Estimate> MeanApart() const {
    std::vector<double> values;
    for (size_t i = 0; i < cases_.truth.size(); ++i) {
      values.push_back(Apart(i));
    }
    return MeanOfCases(values, cases_.patients, bootstrap_);
  }

 private:
  uint32_t Apart(size_t i) const {
    return cases_.truth[i] > cases_.called[i] ? cases_.truth[i] - cases_.called[i] : cases_.called[i] - cases_.truth[i];
  }

  const CategoryCases& cases_;
  BootstrapOptions bootstrap_;
  PatientSampler sampler_;
};

// One class against the rest, by its score or, where there is none, by its calls.
Cases OneAgainstRest(const CategoryCases& cases, uint32_t category, bool by_score) {
  Cases against;
  for (size_t i = 0; i < cases.truth.size(); ++i) {
    const double score = by_score ? cases.scores[category][i] : cases.called[i] == category ? 1 : 0;
    against.push_back({cases.patients[i], cases.truth[i] == category, score});
  }
  return against;
}

// A weighted metric of cases in their own order.
struct InOwnOrder {
  explicit InOwnOrder(const Cases& cases, const Metric& metric)
      : sorted(cases), of_resamples(metric.of_resamples(sorted, 0.5)) {}
  SortedCases sorted;
  WeightedStatistic of_resamples;
};

}  // namespace

CategoryCounts CountCategories(const CategoryCases& cases) {
  return CountWeighted(cases, [](size_t) { return 1; });
}

Estimable<Estimate> MacroMean(const std::vector<Cases>& tasks, std::string_view metric,
                              const BootstrapOptions& bootstrap) {
  if (tasks.empty() || tasks.front().empty()) {
    return Reason::kNoCases;
  }
  std::vector<InOwnOrder> prepared;
  for (const Cases& cases : tasks) {
    prepared.emplace_back(cases, *FindMetric(metric));
  }
  std::vector<uint32_t> patients;
  for (const Case& one : tasks.front()) {
    patients.push_back(one.patient);
  }
  return Bootstrap(
      PatientSampler::FromAll(patients),
      [&](Weights weights) -> Estimable<double> {
        thread_local std::vector<Weight> reordered;
        double sum = 0;
        for (const InOwnOrder& task : prepared) {
          reordered.clear();
          for (uint32_t position : task.sorted.order()) {
            reordered.push_back(weights[position]);
          }
          const Estimable<double> value = task.of_resamples(reordered);
          if (!value.ok()) {
            return value.reason();
          }
          sum += *value;
        }
        return sum / static_cast<double>(prepared.size());
      },
      bootstrap);
}

std::vector<Measure> MeasureCategories(const CategoryCases& cases, bool ordinal, const BootstrapOptions& bootstrap) {
  if (cases.truth.empty()) {
    return {{"accuracy", Reason::kNoCases}};
  }
  const Categories all(cases, bootstrap);
  std::vector<Measure> measures = {{"accuracy", all.ShareApart(0)},
                                   {"balanced_accuracy", all.OfCounts(BalancedAccuracy)},
                                   {"macro_f1", all.OfCounts(MacroF1)},
                                   {"kappa", all.OfKappa(KappaWeights::kNone)}};
  if (ordinal) {
    measures.push_back({"kappa_linear", all.OfKappa(KappaWeights::kLinear)});
    measures.push_back({"kappa_quadratic", all.OfKappa(KappaWeights::kQuadratic)});
    measures.push_back({"within_one", all.ShareApart(1)});
    measures.push_back({"mean_grade_error", all.MeanApart()});
  }
  if (!cases.scores.empty()) {
    std::vector<Cases> tasks;
    for (uint32_t category = 0; category < cases.names.size(); ++category) {
      tasks.push_back(OneAgainstRest(cases, category, true));
    }
    measures.push_back({"macro_auc", MacroMean(tasks, "auc", bootstrap)});
  }
  return measures;
}

std::vector<Measure> MeasureCategory(const CategoryCases& cases, uint32_t category, const BootstrapOptions& bootstrap) {
  std::vector<Measure> measures;
  const Cases by_call = OneAgainstRest(cases, category, false);
  for (const char* name : {"sensitivity", "specificity", "ppv"}) {
    measures.push_back({name, EstimateMetric(*FindMetric(name), by_call, 0.5, bootstrap)});
  }
  if (!cases.scores.empty()) {
    const Cases by_score = OneAgainstRest(cases, category, true);
    measures.push_back({"auc", EstimateMetric(*FindMetric("auc"), by_score, 0.5, bootstrap)});
  }
  return measures;
}

}  // namespace cloister::eval
