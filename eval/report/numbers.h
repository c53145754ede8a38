#pragma once
// SPDX-License-Identifier: Apache-2.0
// Every number of the report, computed once; the JSON and both languages of the page only write them down.

#include <optional>
#include <vector>

#include "eval/metrics/calibration.h"
#include "eval/metrics/confusion.h"
#include "eval/metrics/decision_curve.h"
#include "eval/metrics/roc.h"
#include "eval/report/input.h"
#include "eval/stats/pool_metric.h"
#include "eval/stats/recalibration.h"

namespace cloister::eval {

// One model on the analysed cases.
struct ModelNumbers {
  std::optional<double> threshold;  // unset: nothing at a threshold is known
  Confusion table;
  std::vector<std::pair<std::string, Estimable<Estimate>>> metrics;  // in the order of AllMetrics()
  std::vector<OperatingPoint> roc;

  // kNotMeasured when there is no such metric.
  Estimable<Estimate> Find(std::string_view metric) const;
};

// A metric of this model minus the same of the local-only model.
struct Comparison {
  std::string metric;
  Estimable<Estimate> ours = Reason::kNotMeasured;
  Estimable<Estimate> local_only = Reason::kNotMeasured;
  Estimable<Estimate> difference = Reason::kNotMeasured;
  std::optional<double> mcnemar_p;
};

struct AtThreshold {
  double threshold = 0;
  uint64_t true_positives = 0;
  uint64_t false_positives = 0;
};

struct ReportNumbers {
  uint64_t studies = 0;
  uint64_t patients = 0;
  uint64_t positive_patients = 0;
  uint64_t negative_patients = 0;
  bool one_study_per_patient = true;
  bool prevalence_given = false;
  double prevalence = 0;  // in practice if given, else among the analysed studies
  ModelNumbers model;
  Estimable<Estimate> ppv_at_prevalence = Reason::kNotMeasured;
  std::vector<Comparison> comparisons;  // empty: no local-only model
  std::vector<OperatingPoint> local_only_roc;
  std::vector<const ReportCase*> misses;        // lowest score first
  std::vector<const ReportCase*> false_alarms;  // highest score first
  std::vector<AtThreshold> sweep;               // rising thresholds 0, 0.01, ... 1 and the released one
  std::vector<CalibrationBin> calibration;      // equal mass
  Estimable<Recalibration> recalibration = Reason::kNotMeasured;
  std::vector<SubgroupLevel> subgroups;
  std::vector<PooledMetric> over_sites;  // empty: one site
  std::vector<NetBenefit> decision_curve;
};

// The cases of `input` must have passed CheckCases. Points into `input`.
ReportNumbers ComputeNumbers(const ReportInput& input);

}  // namespace cloister::eval
