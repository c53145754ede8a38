// SPDX-License-Identifier: Apache-2.0
// Where it fails: sensitivity, specificity and AUC in each group of patients, and which groups differ from the rest.

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

constexpr double kSignificant = 0.05;

bool Differs(const SubgroupMetric& one) {
  return one.difference.ok() && one.holm_p < kSignificant;
}

Html Cell(const Page& page, const SubgroupMetric& one) {
  const NumberStyle style = StyleOf(one.metric);
  Html cell = page.Value(one.value, style);
  if (Differs(one)) {
    const Estimate& difference = *one.difference;
    const Html interval =
        page.Say("interval", {{"low", WithSign(FormatLower(difference.lower, style, difference.n))},
                              {"high", WithSign(FormatUpper(difference.upper, style, difference.n))}});
    cell += Fill("<br><strong class=\"differs\">{text}</strong> <span class=\"ci\">{interval}</span>",
                 {{"text", page.Say("subgroups.differs",
                                    {{"difference", WithSign(FormatPoint(difference.value, style, difference.n))}})},
                  {"interval", interval}});
  }
  return cell;
}

}  // namespace

Html SubgroupsSection(const Page& page) {
  const std::vector<SubgroupLevel>& levels = page.numbers.subgroups;
  if (levels.empty()) {
    return {};
  }
  Html rows;
  std::string column;
  uint64_t compared = 0;
  uint64_t differing = 0;
  for (const SubgroupLevel& level : levels) {
    if (level.column != column) {
      column = level.column;
      rows += Fill("<tr><th scope=\"rowgroup\" colspan=\"5\">{column}</th></tr>\n", {{"column", column}});
    }
    Html cells =
        Fill("<th scope=\"row\">{level}</th><td data-h=\"{h}\">{patients} <span class=\"ci\">{whom}</span></td>",
             {{"level", level.level},
              {"h", page.Say("sites.patients")},
              {"patients", level.patients},
              {"whom",
               page.Say("sites.of_whom", {{"positives", level.positive_patients}, {"condition", page.Condition()}})}});
    for (const SubgroupMetric& one : level.metrics) {
      compared += one.difference.ok() ? 1 : 0;
      differing += Differs(one) ? 1 : 0;
      cells += Fill("<td data-h=\"{metric}\">{cell}</td>",
                    {{"metric", page.MetricName(one.metric)}, {"cell", Cell(page, one)}});
    }
    rows += Fill("<tr>{cells}</tr>\n", {{"cells", cells}});
  }
  const Html lead = differing == 0 ? page.Say("subgroups.none") : page.Say("subgroups.some", {{"n", differing}});
  return Section("subgroups", page.Say("subgroups.title"),
                 Fill(R"(<p>{lead}</p>
<table class="data stack"><thead><tr><th scope="col">{group}</th><th scope="col">{patients}</th>
<th scope="col">{sensitivity}</th><th scope="col">{specificity}</th><th scope="col">{auc}</th></tr></thead><tbody>
{rows}</tbody></table>
<p class="note">{note}</p>
)",
                      {{"lead", lead},
                       {"group", page.Say("subgroups.group")},
                       {"patients", page.Say("sites.patients")},
                       {"sensitivity", page.MetricName("sensitivity")},
                       {"specificity", page.MetricName("specificity")},
                       {"auc", page.MetricName("auc")},
                       {"rows", rows},
                       {"note", page.Say("subgroups.note", {{"n", compared}, {"minimum", page.input.minimum_n}})}}));
}

}  // namespace cloister::eval
