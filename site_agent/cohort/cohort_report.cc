// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/cohort_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace cloister::site {
namespace {

using Json = nlohmann::json;

constexpr LabelProblem kProblems[] = {LabelProblem::kNoAccession,       LabelProblem::kShortRow,
                                      LabelProblem::kDuplicateRow,      LabelProblem::kConflictingRow,
                                      LabelProblem::kNoReference,       LabelProblem::kUnknownAccession,
                                      LabelProblem::kConflictingPatient};

std::string Lines(const std::vector<int>& lines) {
  constexpr size_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < lines.size() && i < kShown; ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", lines[i]);
  }
  return lines.size() > kShown ? fmt::format("{}, and {} more", text, lines.size() - kShown) : text;
}

// What is missing or of another type is 0 or empty.
int Count(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<int>() : 0;
}
Json Object(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_object() ? *found : Json::object();
}

}  // namespace

std::string CohortReportJson(const CohortReport& report) {
  Json studies = Json::object();
  for (const auto& [outcome, count] : report.studies) {
    studies[std::string(StudyOutcomeName(outcome))] = count;
  }
  Json rows = Json::object();
  for (const auto& [problem, lines] : report.rows) {
    rows[std::string(LabelProblemName(problem))] = lines;
  }
  return Json{{"task", report.task},
              {"found", report.found},
              {"newly_fetched", report.newly_fetched},
              {"patients", report.patients},
              {"positive_patients", report.positive_patients},
              {"positive_studies", report.positive_studies},
              {"studies", studies},
              {"image_rejections", report.image_rejections},
              {"label_rows", report.label_rows},
              {"label_findings", rows}}
      .dump();
}

absl::StatusOr<CohortReport> ParseCohortReport(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return absl::DataLossError("the stored cohort report is damaged");
  }
  CohortReport report;
  if (const auto task = json.find("task"); task != json.end() && task->is_string()) {
    report.task = task->get<std::string>();
  }
  report.found = Count(json, "found");
  report.newly_fetched = Count(json, "newly_fetched");
  report.patients = Count(json, "patients");
  report.positive_patients = Count(json, "positive_patients");
  report.positive_studies = Count(json, "positive_studies");
  report.label_rows = Count(json, "label_rows");
  const Json studies = Object(json, "studies");
  for (const auto& [name, count] : studies.items()) {
    report.studies[ParseStudyOutcome(name)] = count.is_number_integer() ? count.get<int>() : 0;
  }
  const Json rejections = Object(json, "image_rejections");
  for (const auto& [name, count] : rejections.items()) {
    report.image_rejections[name] = count.is_number_integer() ? count.get<int>() : 0;
  }
  const Json rows = Object(json, "label_findings");
  for (LabelProblem problem : kProblems) {
    const auto found = rows.find(std::string(LabelProblemName(problem)));
    if (found != rows.end() && found->is_array()) {
      for (const Json& line : *found) {
        report.rows[problem].push_back(line.is_number_integer() ? line.get<int>() : 0);
      }
    }
  }
  return report;
}

std::string CohortReportText(const CohortReport& report) {
  std::string text = fmt::format(
      "cohort {}: {} usable studies of {} patients ({} positive); {} studies found in the PACS, {} fetched now\n",
      report.task, report.usable(), report.patients, report.positive_patients, report.found, report.newly_fetched);
  for (const auto& [outcome, count] : report.studies) {
    if (outcome != StudyOutcome::kUsable && count > 0) {
      text += fmt::format("  {:5} {:20} {}\n", count, StudyOutcomeName(outcome), StudyOutcomeAdvice(outcome));
    }
  }
  for (const auto& [reason, count] : report.image_rejections) {
    text += fmt::format("        of these {} {}\n", count, reason);
  }
  if (!report.rows.empty()) {
    text += fmt::format("label file, {} rows:\n", report.label_rows);
    for (const auto& [problem, lines] : report.rows) {
      text += fmt::format("  {:5} {:20} lines {}\n", lines.size(), LabelProblemName(problem), Lines(lines));
    }
  }
  return text;
}

}  // namespace cloister::site
