// SPDX-License-Identifier: Apache-2.0
#include "eval/cli/task_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <set>

#include "eval/metrics/metric.h"
#include "eval/stats/categories.h"
#include "eval/stats/interval.h"
#include "eval/stats/measurement.h"

namespace cloister::eval {
namespace {

constexpr std::string_view kScorePrefix = "score:";
constexpr std::string_view kLabelPrefix = "label:";
constexpr size_t kMaxClasses = 100;

LocalText Same(const std::string& text) {
  return {text, text};
}

// The names behind a prefix, "melanoma" of "score:melanoma", in the order of the columns.
std::vector<std::string> NamesOf(const CsvTable& table, std::string_view prefix) {
  std::vector<std::string> names;
  for (const std::string& column : table.columns()) {
    if (column.rfind(prefix, 0) == 0 && column.size() > prefix.size()) {
      names.push_back(column.substr(prefix.size()));
    }
  }
  return names;
}

// The names of the classes: those that have a score, else all that appear. Grades that are numbers rise.
absl::StatusOr<std::vector<std::string>> ClassesOf(const CsvTable& table, const std::vector<size_t>& columns) {
  std::vector<std::string> names = NamesOf(table, kScorePrefix);
  if (names.empty()) {
    std::set<std::string> seen;
    for (size_t row = 0; row < table.rows() && seen.size() <= kMaxClasses; ++row) {
      for (size_t column : columns) {
        seen.emplace(table.At(row, column));
      }
    }
    names.assign(seen.begin(), seen.end());
    std::stable_sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
      return std::strtod(a.c_str(), nullptr) < std::strtod(b.c_str(), nullptr);
    });
  }
  if (names.size() > kMaxClasses) {
    return absl::InvalidArgumentError(fmt::format("{}:1: more than {} classes", table.name(), kMaxClasses));
  }
  return names;
}

absl::StatusOr<uint32_t> ClassAt(const CsvTable& table, size_t row, size_t column,
                                 const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), table.At(row, column));
  if (table.At(row, column).empty() || found == names.end()) {
    return table.FieldError(row, column, "is none of the classes that have a score column");
  }
  return static_cast<uint32_t>(found - names.begin());
}

absl::StatusOr<double> Probability(const CsvTable& table, size_t row, size_t column) {
  CLOISTER_ASSIGN_OR_RETURN(const double value, table.Number(row, column));
  if (value < 0 || value > 1) {
    return table.FieldError(row, column, "is outside 0 to 1");
  }
  return value;
}

absl::StatusOr<CategoryCases> ReadCategories(const CsvTable& table, const Rows& rows, const ReportOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const size_t label, NeedColumn(table, options.columns.label));
  const std::optional<size_t> predicted = table.Find(options.columns.predicted);
  std::vector<size_t> named = {label};
  if (predicted) {
    named.push_back(*predicted);
  }
  CategoryCases cases;
  CLOISTER_ASSIGN_OR_RETURN(cases.names, ClassesOf(table, named));
  std::vector<size_t> score_columns;
  for (const std::string& name : NamesOf(table, kScorePrefix)) {
    score_columns.push_back(*table.Find(std::string(kScorePrefix) + name));
  }
  if (!predicted && score_columns.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{}:1: no column \"{}\" with the class called, and no columns \"score:CLASS\"", table.name(),
                    options.columns.predicted));
  }
  cases.patients = rows.patients;
  cases.scores.resize(score_columns.size());
  for (size_t row : rows.order) {
    CLOISTER_ASSIGN_OR_RETURN(const uint32_t truth, ClassAt(table, row, label, cases.names));
    uint32_t called = 0;
    for (size_t i = 0; i < score_columns.size(); ++i) {
      CLOISTER_ASSIGN_OR_RETURN(const double score, Probability(table, row, score_columns[i]));
      cases.scores[i].push_back(score);
      called = score > cases.scores[called].back() ? static_cast<uint32_t>(i) : called;
    }
    if (predicted) {
      CLOISTER_ASSIGN_OR_RETURN(called, ClassAt(table, row, *predicted, cases.names));
    }
    cases.truth.push_back(truth);
    cases.called.push_back(called);
  }
  return cases;
}

void CountInto(const Rows& rows, ReportInput& input) {
  input.measured_cases = rows.order.size();
  input.measured_patients = std::set<uint32_t>(rows.patients.begin(), rows.patients.end()).size();
}

}  // namespace

absl::StatusOr<ReportInput> CategoryInput(const CsvTable& table, const ReportOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const Rows rows, ReadRows(table, options.columns));
  CLOISTER_ASSIGN_OR_RETURN(const CategoryCases cases, ReadCategories(table, rows, options));
  ReportInput input;
  CountInto(rows, input);
  input.measure_tables.push_back({"overall",
                                  {"Over all classes", "全部类别"},
                                  MeasureCategories(cases, options.task == "ordinal", options.bootstrap)});
  for (uint32_t i = 0; i < cases.names.size(); ++i) {
    input.measure_tables.push_back(
        {"class:" + cases.names[i], Same(cases.names[i]), MeasureCategory(cases, i, options.bootstrap)});
  }
  input.categories = cases.names;
  input.category_counts = CountCategories(cases);
  return input;
}

absl::StatusOr<ReportInput> MultilabelInput(const CsvTable& table, const ReportOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const Rows rows, ReadRows(table, options.columns));
  const std::vector<std::string> names = NamesOf(table, kLabelPrefix);
  if (names.empty()) {
    return absl::InvalidArgumentError(fmt::format("{}:1: no columns \"label:NAME\"", table.name()));
  }
  std::vector<Cases> tasks;
  for (const std::string& name : names) {
    CLOISTER_ASSIGN_OR_RETURN(const size_t label, NeedColumn(table, std::string(kLabelPrefix) + name));
    CLOISTER_ASSIGN_OR_RETURN(const size_t score, NeedColumn(table, std::string(kScorePrefix) + name));
    Cases cases;
    for (size_t i = 0; i < rows.order.size(); ++i) {
      CLOISTER_ASSIGN_OR_RETURN(const bool positive, ReadLabel(table, rows.order[i], label));
      CLOISTER_ASSIGN_OR_RETURN(const double value, Probability(table, rows.order[i], score));
      cases.push_back({rows.patients[i], positive, value});
    }
    tasks.push_back(std::move(cases));
  }
  ReportInput input;
  CountInto(rows, input);
  input.measure_tables.push_back(
      {"overall",
       {"Over all labels", "全部标签"},
       {{"macro_auc", MacroMean(tasks, "auc", options.bootstrap)},
        {"macro_average_precision", MacroMean(tasks, "average_precision", options.bootstrap)}}});
  const double threshold = options.threshold.value_or(0.5);
  for (size_t i = 0; i < names.size(); ++i) {
    MeasureTable of_label{"label:" + names[i], Same(names[i]), {}};
    for (const Metric& metric : AllMetrics()) {
      of_label.measures.push_back(
          {std::string(metric.name), EstimateMetric(metric, tasks[i], threshold, options.bootstrap)});
    }
    input.measure_tables.push_back(std::move(of_label));
  }
  return input;
}

absl::StatusOr<ReportInput> RegressionInput(const CsvTable& table, const ReportOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const Rows rows, ReadRows(table, options.columns));
  CLOISTER_ASSIGN_OR_RETURN(const size_t label, NeedColumn(table, options.columns.label));
  CLOISTER_ASSIGN_OR_RETURN(const size_t score, NeedColumn(table, options.columns.score));
  Measurements cases;
  cases.patients = rows.patients;
  for (size_t row : rows.order) {
    CLOISTER_ASSIGN_OR_RETURN(const double reference, table.Number(row, label));
    CLOISTER_ASSIGN_OR_RETURN(const double predicted, table.Number(row, score));
    cases.reference.push_back(reference);
    cases.predicted.push_back(predicted);
  }
  ReportInput input;
  CountInto(rows, input);
  input.measure_tables.push_back({"overall",
                                  {"Predicted minus reference", "预测值减参考值"},
                                  CompareMeasurements(cases, options.within, options.bootstrap)});
  return input;
}

absl::StatusOr<Report> MakeTaskReport(const ReportOptions& options, std::ostream& progress) {
  progress << fmt::format("reading {}\n", options.predictions) << std::flush;
  CLOISTER_ASSIGN_OR_RETURN(const CsvTable table, CsvTable::Read(options.predictions));
  progress << fmt::format("{} cases; {} bootstrap replicates on {} threads\n", table.rows(),
                          options.bootstrap.replicates, options.bootstrap.threads)
           << std::flush;
  absl::StatusOr<ReportInput> made = options.task == "regression"     ? RegressionInput(table, options)
                                     : options.task == "multilabel"   ? MultilabelInput(table, options)
                                     : options.task == "segmentation" ? SegmentationInput(table, options, progress)
                                     : options.task == "detection"    ? DetectionInput(table, options)
                                                                      : CategoryInput(table, options);
  CLOISTER_ASSIGN_OR_RETURN(ReportInput input, std::move(made));
  input.outside = true;
  input.task = options.task;
  input.task_title = Same(options.title.empty() ? FileName(options.predictions) : options.title);
  input.minimum_n = options.minimum_n;
  input.language = options.language;
  input.bootstrap = options.bootstrap;
  input.provenance.code_version = CLOISTER_VERSION;
  input.provenance.more.push_back({{"Predictions", "预测文件"}, FileName(options.predictions)});
  if (table.was_gb18030()) {
    input.provenance.more.push_back({{"Note", "说明"}, "read as GB18030"});
  }
  return MakeReport(input);
}

}  // namespace cloister::eval
