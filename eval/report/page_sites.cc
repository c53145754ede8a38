// SPDX-License-Identifier: Apache-2.0
// Our site beside the others: a forest plot whose rows are the rows of a table, so that it can be read on a telephone
// and in print.

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

constexpr const char* kMetrics[] = {"sensitivity", "specificity", "auc"};

struct SiteRow {
  Html name;
  bool ours = false;
  Disclosed<uint64_t> patients = Suppressed{};
  Disclosed<uint64_t> positives = Suppressed{};
  std::vector<Disclosed<Estimate>> estimates;  // as kMetrics
};

std::vector<SiteRow> Rows(const Page& page) {
  std::vector<SiteRow> rows(1);
  rows[0].name = page.Say("sites.ours");
  rows[0].ours = true;
  rows[0].patients = page.numbers.patients;
  rows[0].positives = page.numbers.positive_patients;
  for (const char* metric : kMetrics) {
    rows[0].estimates.emplace_back(page.numbers.model.Find(metric));
  }
  for (const OtherSite& other : page.input.others) {
    SiteRow row;
    row.name = page.Say("sites.other", {{"name", other.pseudonym}});
    row.patients = other.summary.patients;
    row.positives = other.summary.positives;
    row.estimates = {other.summary.sensitivity, other.summary.specificity, other.summary.auc};
    rows.push_back(std::move(row));
  }
  return rows;
}

// The left end of a column's axis: the lowest interval end there is, down to the next tenth.
double AxisFrom(const std::vector<SiteRow>& rows, size_t column) {
  double lowest = 0.9;
  for (const SiteRow& row : rows) {
    if (row.estimates[column].ok()) {
      lowest = std::min(lowest, row.estimates[column]->lower);
    }
  }
  return std::max(0.0, std::floor(lowest * 10 + 1e-9) / 10);
}

constexpr double kWidth = 150;
constexpr double kPad = 8;

double At(double value, double from) {
  return kPad + (value - from) / (1 - from) * (kWidth - 2 * kPad);
}

std::string Grid(double from, int height) {
  std::string grid;
  for (double at : {from, (from + 1) / 2, 1.0}) {
    grid += fmt::format("<path class=\"grid\" d=\"M{:.1f} 0V{}\"/>", At(at, from), height);
  }
  return grid;
}

Html AxisSvg(double from, NumberStyle style) {
  std::string ticks;
  for (double at : {from, (from + 1) / 2, 1.0}) {
    const char* anchor = at == from ? "start" : at == 1.0 ? "end" : "mid";
    const double x = at == from ? 0 : at == 1.0 ? kWidth : At(at, from);
    ticks += fmt::format("<text class=\"tick {}\" x=\"{:.1f}\" y=\"12\">{}</text>", anchor, x, FormatExact(at, style));
  }
  return Html::Raw(
      fmt::format("<svg class=\"forest scale\" viewBox=\"0 0 {} 16\" aria-hidden=\"true\">{}</svg>", kWidth, ticks));
}

Html RowSvg(const Disclosed<Estimate>& estimate, double from, bool ours) {
  std::string marks = Grid(from, 24);
  if (estimate.ok()) {
    const char* style = ours ? "ours" : "other";
    marks += fmt::format("<path class=\"line {}\" d=\"M{:.1f} 12H{:.1f}\"/>", style,
                         At(std::max(estimate->lower, from), from), At(estimate->upper, from));
    const double x = At(std::max(estimate->value, from), from);
    marks += ours ? fmt::format("<path class=\"dot ours\" d=\"M{:.1f} 5l7 7l-7 7l-7 -7z\"/>", x)
                  : fmt::format("<circle class=\"dot other\" cx=\"{:.1f}\" cy=\"12\" r=\"4.5\"/>", x);
  }
  const char* blank = estimate.ok() ? "" : " blank";
  return Html::Raw(
      fmt::format("<svg class=\"forest{}\" viewBox=\"0 0 {} 24\" aria-hidden=\"true\">{}</svg>", blank, kWidth, marks));
}

Html Count(const Page& page, const Disclosed<uint64_t>& count) {
  return count.ok() ? Html::Raw(std::to_string(*count))
                    : Fill("<span class=\"ne\">{text}</span>", {{"text", page.Say("suppressed")}});
}

}  // namespace

Html SitesSection(const Page& page) {
  const std::vector<SiteRow> rows = Rows(page);
  Html head = Fill("<th scope=\"col\" class=\"who\">{site}</th><th scope=\"col\" class=\"count\">{patients}</th>",
                   {{"site", page.Say("sites.site")}, {"patients", page.Say("sites.patients")}});
  double from[3];
  for (size_t column = 0; column < 3; ++column) {
    from[column] = AxisFrom(rows, column);
    head += Fill("<th scope=\"col\">{metric}{axis}</th>", {{"metric", page.MetricName(kMetrics[column])},
                                                           {"axis", AxisSvg(from[column], StyleOf(kMetrics[column]))}});
  }
  Html body;
  for (const SiteRow& row : rows) {
    Html of_whom;
    if (row.positives.ok()) {
      of_whom =
          Fill("<span class=\"ci whom\">{text}</span>",
               {{"text", page.Say("sites.of_whom", {{"positives", *row.positives}, {"condition", page.Condition()}})}});
    }
    Html cells = Fill("<th scope=\"row\">{name}</th><td data-h=\"{label}\">{patients} {whom}</td>",
                      {{"name", row.name},
                       {"label", page.Say("sites.patients")},
                       {"patients", Count(page, row.patients)},
                       {"whom", of_whom}});
    for (size_t column = 0; column < 3; ++column) {
      cells += Fill("<td data-h=\"{metric}\">{plot}<span class=\"cell\">{value}</span></td>",
                    {{"metric", page.MetricName(kMetrics[column])},
                     {"plot", RowSvg(row.estimates[column], from[column], row.ours)},
                     {"value", page.Value(row.estimates[column], StyleOf(kMetrics[column]))}});
    }
    body += Fill("<tr class=\"{kind}\">{cells}</tr>\n", {{"kind", row.ours ? "ours" : "other"}, {"cells", cells}});
  }
  Html note = page.Say(page.input.others.empty() ? "sites.none" : "sites.note");
  return Section("sites", page.Say("sites.title"),
                 Fill("<table class=\"sites\"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>\n<p "
                      "class=\"note\">{note}{space}{few}</p>\n",
                      {{"head", head},
                       {"body", body},
                       {"note", note},
                       {"space", page.Space()},
                       {"few", page.Say("legend_few", {{"minimum", page.input.minimum_n}})}}));
}

}  // namespace cloister::eval
