// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/metric.h"

#include "eval/metrics/auc.h"
#include "eval/metrics/calibration.h"
#include "eval/metrics/confusion.h"
#include "eval/metrics/roc.h"

namespace cloister::eval {
namespace {

// A function of the cases, or of the table at the threshold, as a Metric wants it.
template <Estimable<double> (*kFunction)(CaseSpan)>
Estimable<double> OfScores(CaseSpan cases, double /*threshold*/) {
  return kFunction(cases);
}

template <Estimable<double> (*kFunction)(const Confusion&)>
Estimable<double> OfTable(CaseSpan cases, double threshold) {
  return kFunction(CountConfusion(cases, threshold));
}

template <WeightedStatistic (*kFunction)(const SortedCases&)>
WeightedStatistic OfResampledScores(const SortedCases& sorted, double /*threshold*/) {
  return kFunction(sorted);
}

template <Estimable<double> (*kFunction)(const Confusion&)>
WeightedStatistic OfResampledTable(const SortedCases& sorted, double threshold) {
  return WeightedTable(sorted, threshold, kFunction);
}

Estimable<double> EceEqualWidth(CaseSpan cases) {
  return ExpectedCalibrationError(EqualWidthBins(cases));
}
Estimable<double> EceEqualMass(CaseSpan cases) {
  return ExpectedCalibrationError(EqualMassBins(cases));
}

constexpr Metric kMetrics[] = {
    {"auc", true, false, OfScores<Auc>, OfResampledScores<WeightedAuc>},
    {"average_precision", true, false, OfScores<AveragePrecision>, OfResampledScores<WeightedAveragePrecision>},
    {"sensitivity", true, true, OfTable<Sensitivity>, OfResampledTable<Sensitivity>},
    {"specificity", true, true, OfTable<Specificity>, OfResampledTable<Specificity>},
    {"ppv", true, true, OfTable<Ppv>, OfResampledTable<Ppv>},
    {"npv", true, true, OfTable<Npv>, OfResampledTable<Npv>},
    {"brier", false, false, OfScores<Brier>, OfResampledScores<WeightedBrier>},
    {"log_loss", false, false, OfScores<LogLoss>, OfResampledScores<WeightedLogLoss>},
    {"ece_equal_width", false, false, OfScores<EceEqualWidth>, OfResampledScores<WeightedEceEqualWidth>},
    {"ece_equal_mass", false, false, OfScores<EceEqualMass>, OfResampledScores<WeightedEceEqualMass>},
};

}  // namespace

absl::Span<const Metric> AllMetrics() {
  return kMetrics;
}

const Metric* FindMetric(std::string_view name) {
  for (const Metric& metric : kMetrics) {
    if (metric.name == name) {
      return &metric;
    }
  }
  return nullptr;
}

}  // namespace cloister::eval
