// SPDX-License-Identifier: Apache-2.0
// The cohorts page: who was found, who is left out, and why.
#include <fmt/format.h>

#include "site_agent/cohort/cohort_report.h"
#include "site_agent/web/pages.h"

namespace cloister::site {
namespace {

namespace parts = transport::parts;
using transport::EscapeHtml;

std::string LineNumbers(const std::vector<int>& lines) {
  constexpr size_t kShown = 20;
  std::string text;
  for (size_t i = 0; i < lines.size() && i < kShown; ++i) text += (i == 0 ? "" : ", ") + std::to_string(lines[i]);
  if (lines.size() > kShown) text += fmt::format(", … ({})", lines.size());
  return text;
}

std::string CohortCard(const PageContext& context, const CohortReport& report, int64_t built_unix_ms) {
  const bool chinese = context.request->language == "zh";
  std::string html =
      parts::Figures({{context.Say("studies found in PACS", "PACS 中的检查"), std::to_string(report.found)},
                      {context.Say("usable studies", "可用检查"), std::to_string(report.usable())},
                      {context.Say("patients", "患者"), std::to_string(report.patients)},
                      {context.Say("positive patients", "阳性患者"), std::to_string(report.positive_patients)}});
  std::vector<std::vector<std::string>> rows;
  for (const auto& [outcome, count] : report.studies) {
    if (count == 0) continue;
    rows.push_back({EscapeHtml(std::string(StudyOutcomeName(outcome))), std::to_string(count),
                    EscapeHtml(std::string(chinese ? StudyOutcomeAdviceZh(outcome) : StudyOutcomeAdvice(outcome)))});
  }
  for (const auto& [reason, count] : report.image_rejections) {
    rows.push_back({EscapeHtml("IMAGE_REJECTED: " + reason), std::to_string(count), ""});
  }
  html += parts::Table({{context.Say("Outcome", "结果")},
                        {context.Say("Studies", "检查数"), true},
                        {context.Say("What it means", "含义")}},
                       rows, context.Say("No study was found.", "未找到检查。"));
  rows.clear();
  for (const auto& [problem, lines] : report.rows) {
    if (!lines.empty()) rows.push_back({EscapeHtml(std::string(LabelProblemName(problem))), LineNumbers(lines)});
  }
  if (!rows.empty()) {
    html += parts::Table({{context.Say("Label file", "标签文件")}, {context.Say("Lines", "行号")}}, rows, "");
  }
  return parts::Card(report.task, html, parts::Muted(Ago(context, built_unix_ms)));
}

}  // namespace

absl::StatusOr<std::string> CohortsHtml(const PageContext& context) {
  CLOISTER_ASSIGN_OR_RETURN(const auto builds, context.store->cohorts().Builds());
  std::string html;
  for (const CohortBuildRow& build : builds) {
    CLOISTER_ASSIGN_OR_RETURN(const CohortReport report, ParseCohortReport(build.report));
    html += CohortCard(context, report, build.built_unix_ms);
  }
  if (!html.empty()) return html;
  return parts::Notice(EscapeHtml(context.Say("No cohort has been built yet: cloister-site cohort build TASK",
                                              "尚未建立队列：cloister-site cohort build TASK")),
                       transport::Tone::kNeutral);
}

}  // namespace cloister::site
