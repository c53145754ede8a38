// SPDX-License-Identifier: Apache-2.0
#include "eval/cli/binary_report.h"

#include <fmt/format.h>

#include <ostream>
#include <set>

#include "eval/federated/operating_point.h"

namespace cloister::eval {
namespace {

struct Threshold {
  double value = 0.5;
  std::string rule;
  std::string note;
};

// "sensitivity 0.95" as rule and target.
absl::StatusOr<std::pair<ThresholdRule, double>> ParseRule(const std::string& text) {
  const size_t space = text.find(' ');
  CLOISTER_ASSIGN_OR_RETURN(const ThresholdRule rule, ParseThresholdRule(text.substr(0, space)));
  if (rule == ThresholdRule::kYouden) {
    return std::pair(rule, 0.0);
  }
  char* end = nullptr;
  const std::string number = space == std::string::npos ? "" : text.substr(space + 1);
  const double target = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !(target > 0 && target <= 1)) {
    return absl::InvalidArgumentError(
        fmt::format("--rule \"{}\": say the target too, above 0 and at most 1, e.g. \"sensitivity 0.95\"", text));
  }
  return std::pair(rule, target);
}

absl::Status RefuseSharedPatients(const CsvTable& tested, const CsvTable& tuning, const PredictionColumns& columns) {
  const std::string& name = tested.Find(columns.patient) ? columns.patient : columns.case_id;
  CLOISTER_ASSIGN_OR_RETURN(const size_t tested_column, NeedColumn(tested, name));
  CLOISTER_ASSIGN_OR_RETURN(const size_t tuning_column, NeedColumn(tuning, name));
  std::set<std::string_view> patients;
  for (size_t row = 0; row < tuning.rows(); ++row) {
    patients.insert(tuning.At(row, tuning_column));
  }
  for (size_t row = 0; row < tested.rows(); ++row) {
    if (patients.count(tested.At(row, tested_column)) > 0) {
      return tested.FieldError(
          row, tested_column,
          fmt::format("is also in {}: a threshold chosen on tested patients flatters the model", tuning.name()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Threshold> FindThreshold(const ReportOptions& options, const CsvTable& tested) {
  if (options.tuning.empty()) {
    const bool given = options.threshold.has_value();
    return Threshold{options.threshold.value_or(0.5), "", given ? "given" : "0.5, as none was given"};
  }
  CLOISTER_ASSIGN_OR_RETURN(const auto rule, ParseRule(options.rule));
  CLOISTER_ASSIGN_OR_RETURN(const CsvTable table, CsvTable::Read(options.tuning));
  CLOISTER_RETURN_IF_ERROR(RefuseSharedPatients(tested, table, options.columns));
  PredictionColumns columns = options.columns;
  columns.compare.clear();
  columns.site.clear();
  columns.subgroups.clear();
  CLOISTER_ASSIGN_OR_RETURN(const BinaryPredictions tuning, ReadBinary(table, columns));
  const Estimable<ChosenThreshold> chosen = ChooseThreshold(tuning.cases, rule.first, rule.second);
  if (!chosen.ok()) {
    return absl::InvalidArgumentError(fmt::format("{}: no threshold by the rule \"{}\": {}", options.tuning,
                                                  options.rule, ReasonCode(chosen.reason())));
  }
  return Threshold{chosen->threshold, options.rule, fmt::format("chosen on {} tuning cases", tuning.cases.size())};
}

}  // namespace

absl::StatusOr<Report> MakeBinaryReport(const ReportOptions& options, std::ostream& progress) {
  progress << fmt::format("reading {}\n", options.predictions) << std::flush;
  CLOISTER_ASSIGN_OR_RETURN(const CsvTable table, CsvTable::Read(options.predictions));
  CLOISTER_ASSIGN_OR_RETURN(BinaryPredictions read, ReadBinary(table, options.columns));
  CLOISTER_ASSIGN_OR_RETURN(const Threshold threshold, FindThreshold(options, table));
  ReportInput input;
  input.outside = true;
  const std::string title = options.title.empty() ? FileName(options.predictions) : options.title;
  input.task_title = {title, title};
  input.condition = options.condition.empty() ? LocalText{"the condition", "目标疾病"}
                                              : LocalText{options.condition, options.condition};
  for (size_t i = 0; i < read.cases.size(); ++i) {
    ReportCase one{std::move(read.case_ids[i]), read.cases[i], std::nullopt};
    if (!read.compare.empty()) {
      one.local_only_score = read.compare[i];
    }
    input.cases.push_back(std::move(one));
  }
  input.threshold = threshold.value;
  input.threshold_rule = threshold.rule;
  input.compared_with = {options.columns.compare, options.columns.compare};
  input.local_only_threshold = options.compare_threshold;
  input.prevalence = options.prevalence;
  input.minimum_n = options.minimum_n;
  input.language = options.language;
  input.bootstrap = options.bootstrap;
  input.subgroups = std::move(read.subgroups);
  input.site_of_case = std::move(read.sites);
  input.provenance.code_version = CLOISTER_VERSION;
  input.provenance.more = {{{"Predictions", "预测文件"}, FileName(options.predictions)},
                           {{"Threshold", "阈值"}, threshold.note}};
  if (table.was_gb18030()) {
    read.notes.push_back("read as GB18030");
  }
  for (const std::string& note : read.notes) {
    progress << "note: " << note << "\n";
    input.provenance.more.push_back({{"Note", "说明"}, note});
  }
  progress << fmt::format("{} cases of {} patients; {} bootstrap replicates on {} threads\n", input.cases.size(),
                          CountPatients(read.cases), options.bootstrap.replicates, options.bootstrap.threads)
           << std::flush;
  return MakeReport(input);
}

}  // namespace cloister::eval
