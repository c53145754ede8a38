// SPDX-License-Identifier: Apache-2.0
// The page of a task without a two-by-two table: its measures with intervals, the table of classes, the worst cases.

#include <fmt/core.h>

#include <algorithm>

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

constexpr size_t kWorst = 20;

// "within_12" and "sensitivity_at_0.125" are one text each, with their number.
Html MeasureName(const Page& page, const std::string& key) {
  for (const char* prefix : {"within_", "sensitivity_at_"}) {
    if (key.rfind(prefix, 0) == 0 && key != "within_one") {
      return page.Say(fmt::format("metric.{}n", prefix), {{"n", key.substr(std::string(prefix).size())}});
    }
  }
  return page.MetricName(key);
}

Html Table(const Page& page, const MeasureTable& table) {
  Html rows;
  for (const Measure& measure : table.measures) {
    const Estimable<Estimate>& estimate = measure.estimate;
    rows += Fill(
        "<tr><th scope=\"row\">{name}</th><td data-h=\"{h1}\">{value}</td><td data-h=\"{h2}\">{n}</td><td "
        "data-h=\"{h3}\">{method}</td></tr>\n",
        {{"name", MeasureName(page, measure.key)},
         {"h1", page.Say("numbers.value")},
         {"h2", page.Say("numbers.n")},
         {"h3", page.Say("numbers.method")},
         {"value", page.Value(estimate, StyleOf(measure.key))},
         {"n", estimate.ok() ? Html::Raw(std::to_string(estimate->n)) : Html::Raw("–")},
         {"method", estimate.ok() ? page.MethodName(estimate->method) : Html::Raw("–")}});
  }
  return Fill(R"(<h3>{title}</h3>
<table class="data stack"><thead><tr><th scope="col">{measure}</th>
<th scope="col">{value} <span class="ci">{ci}</span></th><th scope="col">{n}</th><th scope="col">{method}</th></tr>
</thead><tbody>
{rows}</tbody></table>
)",
              {{"title", page.Local(table.title)},
               {"measure", page.Say("compare.measure")},
               {"value", page.Say("numbers.value")},
               {"ci", page.Say("ci")},
               {"n", page.Say("numbers.n")},
               {"method", page.Say("numbers.method")},
               {"rows", rows}});
}

Html Counts(const Page& page) {
  const ReportInput& input = page.input;
  if (input.category_counts.empty()) {
    return {};
  }
  Html head;
  Html rows;
  for (size_t i = 0; i < input.categories.size(); ++i) {
    head += Fill("<th scope=\"col\">{name}</th>", {{"name", input.categories[i]}});
    Html cells;
    for (uint64_t count : input.category_counts[i]) {
      cells += Fill("<td>{n}</td>", {{"n", count}});
    }
    rows += Fill("<tr><th scope=\"row\">{name}</th>{cells}</tr>\n", {{"name", input.categories[i]}, {"cells", cells}});
  }
  return Fill(R"(<h3>{title}</h3>
<table class="data"><thead><tr><th></th>{head}</tr></thead><tbody>
{rows}</tbody></table>
)",
              {{"title", page.Say("measures.counts")}, {"head", head}, {"rows", rows}});
}

Html Worst(const Page& page) {
  auto cases = page.input.worst_cases;
  if (cases.empty()) {
    return {};
  }
  std::stable_sort(cases.begin(), cases.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  cases.resize(std::min(cases.size(), kWorst));
  Html rows;
  for (const auto& [id, value] : cases) {
    rows += Fill("<tr><td class=\"id\">{id}</td><td class=\"num\">{value}</td></tr>\n",
                 {{"id", id}, {"value", fmt::format("{:.2f}", value)}});
  }
  return Fill(R"(<h3>{title}</h3>
<table class="cases"><thead><tr><th scope="col">{case}</th><th scope="col" class="num">{dice}</th></tr></thead><tbody>
{rows}</tbody></table>
)",
              {{"title", page.Say("measures.worst")},
               {"case", page.Say("cases.case")},
               {"dice", page.MetricName("dice")},
               {"rows", rows}});
}

}  // namespace

Html MeasuresSection(const Page& page) {
  Html tables;
  for (const MeasureTable& table : page.input.measure_tables) {
    tables += Table(page, table);
  }
  const Html tested =
      page.Say("measures.tested", {{"cases", page.input.measured_cases}, {"patients", page.input.measured_patients}});
  const Html note = page.Say("measures.note", {{"replicates", static_cast<uint64_t>(page.input.bootstrap.replicates)},
                                               {"seed", page.input.bootstrap.seed}});
  return Section(
      "measures", page.Say("measures.title"),
      Fill("<p>{tested}</p>\n{tables}{counts}{worst}<p class=\"note\">{note}</p>\n",
           {{"tested", tested}, {"tables", tables}, {"counts", Counts(page)}, {"worst", Worst(page)}, {"note", note}}));
}

}  // namespace cloister::eval
