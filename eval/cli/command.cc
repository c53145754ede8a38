// SPDX-License-Identifier: Apache-2.0
#include "eval/cli/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <sstream>
#include <thread>

#include "eval/cli/binary_report.h"
#include "eval/cli/task_report.h"
#include "protocols/base/file.h"

namespace cloister::eval {
namespace {

constexpr const char* kFooter = R"(Examples:
  cloister-eval report --predictions test.csv --task binary --out report
  cloister-eval report --predictions test.csv --task binary --out report --tuning tuning.csv --rule "sensitivity 0.95"
  cloister-eval report --predictions test.csv --task binary --out report --compare radiologist --site hospital --json

The file: one row per case, first line the column names, UTF-8 or GB18030.
  case,patient,label,score,sex,camera
  eye-1,patient-1,1,0.93,F,Topcon
label is 1 or 0, score a probability. Other tasks:
  multiclass    label and predicted, or label and a probability score:CLASS for each class
  ordinal       the same; grades rise as numbers, or in the order of the score columns
  multilabel    label:NAME and score:NAME for each label
  regression    label and score, in one unit
  segmentation  truth and predicted: paths of NIfTI masks
  detection     truth: paths of CSV files x,y,z,radius; predicted: x,y,z,score, in millimetres
Cases of one patient count as one: intervals are by patient. Every other column
of at most 20 values divides the cases into subgroups. DIR gets report.json and report.html, the same for the same file
in whatever order and with any number of threads.)";

void AddOptions(CLI::App& report, ReportOptions& options) {
  report.add_option("--predictions", options.predictions, "CSV file of the predictions to report on")->required();
  report.add_option("--task", options.task, "What was predicted")
      ->required()
      ->check(
          CLI::IsMember({"binary", "multiclass", "multilabel", "ordinal", "regression", "segmentation", "detection"}));
  report.add_option("--out", options.out, "Folder to write report.json and report.html into")->required();
  report.add_flag("--json", options.json, "Also print the JSON");
  report.add_flag("--quiet", options.quiet, "No progress");
  report.add_option("--case-column", options.columns.case_id)->capture_default_str();
  report.add_option("--patient-column", options.columns.patient)->capture_default_str();
  report.add_option("--label-column", options.columns.label)->capture_default_str();
  report.add_option("--score-column", options.columns.score)->capture_default_str();
  report.add_option("--predicted-column", options.columns.predicted)->capture_default_str();
  report.add_option("--truth-column", options.columns.truth)->capture_default_str();
  report.add_option("--within", options.within, "regression: also the share of cases at most so far apart, e.g. 12,24")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  report.add_option("--tolerance-mm", options.tolerance_mm, "segmentation: of the surface Dice")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  report.add_option("--compare", options.columns.compare, "Column of another model's score of the same cases");
  report.add_option("--compare-threshold", options.compare_threshold, "Of the other model")
      ->check(CLI::Range(0.0, 1.0));
  report.add_option("--site", options.columns.site, "Column that says where a case is from: adds a mean over sites");
  report.add_option("--subgroups", options.columns.subgroups, "Columns that divide the cases, else all that can")
      ->delimiter(',');
  CLI::Option* threshold =
      report.add_option("--threshold", options.threshold, "At or above it is positive; 0.5 if not given")
          ->check(CLI::Range(0.0, 1.0));
  CLI::Option* tuning =
      report.add_option("--tuning", options.tuning, "CSV file of other patients to choose the threshold on")
          ->excludes(threshold);
  report.add_option("--rule", options.rule, "youden, \"sensitivity 0.95\" or \"specificity 0.9\"")
      ->needs(tuning)
      ->capture_default_str();
  report.add_option("--prevalence", options.prevalence, "In practice, for PPV; else that of the file")
      ->check(CLI::Range(0.0, 1.0));
  report.add_option("--minimum-n", options.minimum_n, "Patients: numbers of fewer are greyed, groups not compared")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  report.add_option("--replicates", options.bootstrap.replicates, "Of the bootstrap")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  report.add_option("--seed", options.bootstrap.seed, "Of the bootstrap")->capture_default_str();
  report.add_option("--threads", options.bootstrap.threads, "Change the time only")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  report.add_option("--title", options.title, "Of the page; else the file's name");
  report.add_option("--condition", options.condition, "As it stands in a sentence, e.g. \"pneumonia\"");
  report.add_option("--language", options.language, "Shown first")
      ->check(CLI::IsMember({"en", "zh"}))
      ->capture_default_str();
}

absl::Status WriteReport(const ReportOptions& options, std::ostream& output, std::ostream& progress) {
  CLOISTER_ASSIGN_OR_RETURN(const Report report, options.task == "binary" ? MakeBinaryReport(options, progress)
                                                                          : MakeTaskReport(options, progress));
  const std::filesystem::path folder = options.out;
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "report.json", report.json));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "report.html", report.html));
  progress << "wrote " << (folder / "report.html").string() << " and report.json\n";
  if (options.json) {
    output << report.json;
  }
  return absl::OkStatus();
}

}  // namespace

int RunEval(const std::vector<std::string>& arguments, std::ostream& output, std::ostream& errors) {
  CLI::App app("Statistics that a regulator accepts, for anyone's predictions: points, intervals, a page.");
  app.name("cloister-eval");
  app.set_version_flag("--version", std::string(CLOISTER_VERSION));
  app.require_subcommand(1);
  ReportOptions options;
  options.bootstrap.threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 16);
  CLI::App* report = app.add_subcommand("report", "A report of a file of predictions");
  report->footer(kFooter);
  AddOptions(*report, options);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, output, errors) == 0 ? 0 : 2;
  }
  std::ostringstream nowhere;
  const absl::Status status = WriteReport(options, output, options.quiet ? nowhere : errors);
  if (!status.ok()) {
    errors << "cloister-eval: " << status.message() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace cloister::eval
