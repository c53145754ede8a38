#pragma once
// SPDX-License-Identifier: Apache-2.0
// What cloister-eval report was asked to do.

#include <optional>
#include <string>

#include "eval/cli/predictions.h"
#include "eval/stats/bootstrap.h"

namespace cloister::eval {

struct ReportOptions {
  std::string predictions;
  std::string task;
  std::string out;
  bool json = false;
  bool quiet = false;
  PredictionColumns columns;
  std::optional<double> threshold;
  std::string tuning;           // a file of the same columns to choose the threshold on
  std::string rule = "youden";  // "youden", "sensitivity 0.95", "specificity 0.9"
  std::optional<double> compare_threshold;
  std::optional<double> prevalence;
  uint64_t minimum_n = 30;
  std::string title;
  std::string condition;
  std::string language = "en";
  std::vector<double> within;  // regression: shares of cases at most so far apart
  double tolerance_mm = 1;     // segmentation: of the surface Dice
  BootstrapOptions bootstrap;
};

}  // namespace cloister::eval
