// SPDX-License-Identifier: Apache-2.0
// The cases it got wrong, each one click away from the viewer where the hospital has set one.

#include <fmt/core.h>

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

constexpr size_t kAtOnce = 12;

Html CaseRow(const Page& page, const ReportCase& one) {
  Html id = Html::Text(one.id);
  if (!page.input.viewer_link.empty()) {
    std::string link = page.input.viewer_link;
    constexpr std::string_view kPlace = "{case}";
    link.replace(link.find(kPlace), kPlace.size(), PercentEncode(one.id));
    id = Fill("<a href=\"{link}\" target=\"_blank\" rel=\"noopener noreferrer\" title=\"{open}\">{id}</a>",
              {{"link", link}, {"open", page.Say("cases.open", {{"case", one.id}})}, {"id", id}});
  }
  const double score = one.prediction.score;
  return Fill(
      R"(<tr><td class="id">{id}</td><td class="bar">
<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="8"/>
<rect width="{width}" height="8"/><rect class="mark" x="{mark}" width="1" height="8"/></svg></td>
<td class="num">{score}</td></tr>
)",
      {{"id", id},
       {"width", fmt::format("{:.1f}", 100 * score)},
       {"mark", fmt::format("{:.1f}", std::min(99.0, 100 * page.input.threshold))},
       {"score", fmt::format("{:.2f}", score)}});
}

Html CaseTable(const Page& page, const std::vector<const ReportCase*>& cases, size_t from, size_t to) {
  Html rows;
  for (size_t i = from; i < to; ++i) {
    rows += CaseRow(page, *cases[i]);
  }
  return Fill(
      "<table class=\"cases\"><thead><tr><th scope=\"col\">{case}</th><th scope=\"col\" colspan=\"2\" "
      "class=\"num\">{score}</th></tr></thead><tbody>{rows}</tbody></table>\n",
      {{"case", page.Say("cases.case")}, {"score", page.Say("cases.score")}, {"rows", rows}});
}

Html List(const Page& page, const std::string& kind, const std::vector<const ReportCase*>& cases) {
  Html body;
  if (cases.empty()) {
    body = Fill("<p>{none}</p>\n", {{"none", page.Say("cases.none")}});
  } else {
    const size_t listed = std::min(cases.size(), page.input.listed_cases);
    const size_t at_once = std::min(listed, kAtOnce);
    body = CaseTable(page, cases, 0, at_once);
    if (listed > at_once) {
      body += Fill("<details><summary>{more}</summary>{table}</details>\n",
                   {{"more", page.Say("cases.more", {{"n", uint64_t{listed - at_once}}})},
                    {"table", CaseTable(page, cases, at_once, listed)}});
    }
    if (cases.size() > listed) {
      body += Fill("<p class=\"note\">{rest}</p>\n",
                   {{"rest", page.Say("cases.rest", {{"n", uint64_t{cases.size() - listed}}})}});
    }
  }
  return Fill("<div><h3>{title} <span class=\"count\">{n}</span></h3>\n<p class=\"note\">{note}</p>\n{body}</div>\n",
              {{"title", page.Say("cases." + kind)},
               {"n", uint64_t{cases.size()}},
               {"note", page.Say("cases." + kind + "_note", {{"condition", page.Condition()}})},
               {"body", body}});
}

}  // namespace

Html CasesSection(const Page& page) {
  return Section("cases", page.Say("cases.title"),
                 Fill("<div class=\"pair\">{misses}{alarms}</div>\n<p class=\"note\">{inside}</p>\n",
                      {{"misses", List(page, "misses", page.numbers.misses)},
                       {"alarms", List(page, "alarms", page.numbers.false_alarms)},
                       {"inside", page.input.outside ? Html() : page.Say("cases.inside")}}));
}

}  // namespace cloister::eval
