// SPDX-License-Identifier: Apache-2.0
// For the statistician: ROC, precision-recall, calibration and decision curves, and every metric with its method.

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "eval/report/page.h"
#include "eval/report/plot.h"
#include "eval/stats/proportion.h"

namespace cloister::eval {
namespace {

Html Figure(const Html& title, const Html& plot, const Html& legend) {
  return Fill(
      "<figure class=\"chart\"><figcaption>{title}</figcaption>{plot}<ul class=\"legend\">{legend}</ul></figure>\n",
      {{"title", title}, {"plot", plot}, {"legend", legend}});
}

bool BothClasses(const std::vector<OperatingPoint>& roc) {
  return !roc.empty() && roc.front().table.positives() > 0 && roc.front().table.negatives() > 0;
}

Plot::Points RocLine(const std::vector<OperatingPoint>& roc) {
  Plot::Points points;
  for (const OperatingPoint& point : roc) {
    points.emplace_back(1 - *Specificity(point.table), *Sensitivity(point.table));
  }
  return Thin(points);
}

Html RocFigure(const Page& page) {
  Plot plot(UnitAxis(page.Say("curves.fpr")), UnitAxis(page.Say("curves.tpr")));
  plot.Line({{0, 0}, {1, 1}}, "ideal");
  Html legend = LegendItem("ours", true, page.Say("curves.this"));
  if (BothClasses(page.numbers.local_only_roc)) {
    plot.Line(RocLine(page.numbers.local_only_roc), "local");
    legend += LegendItem("local", true,
                         page.Local(page.input.compared_with).empty() ? page.Say("curves.local") : page.ComparedWith());
  }
  plot.Line(RocLine(page.numbers.model.roc), "ours");
  const Confusion& table = page.numbers.model.table;
  plot.Diamond(1 - *Specificity(table), *Sensitivity(table), "ours");
  legend += LegendItem("ours", false, page.Say("curves.point")) + LegendItem("ideal", true, page.Say("curves.chance"));
  return Figure(page.Say("curves.roc"), plot.Svg(page.Say("curves.roc")), legend);
}

Html PrecisionRecallFigure(const Page& page) {
  Plot plot(UnitAxis(page.Say("curves.recall")), UnitAxis(page.Say("curves.precision")));
  const std::vector<OperatingPoint>& roc = page.numbers.model.roc;
  const Confusion& all = roc.front().table;
  const double share = static_cast<double>(all.positives()) / static_cast<double>(all.total());
  plot.Line({{0, share}, {1, share}}, "ideal");
  Plot::Points points;
  for (size_t i = 1; i < roc.size(); ++i) {
    points.emplace_back(*Sensitivity(roc[i].table), *Ppv(roc[i].table));
  }
  plot.Line(Thin(points), "ours");
  const Confusion& table = page.numbers.model.table;
  if (const Estimable<double> ppv = Ppv(table); ppv.ok()) {
    plot.Diamond(*Sensitivity(table), *ppv, "ours");
  }
  return Figure(page.Say("curves.pr"), plot.Svg(page.Say("curves.pr")),
                LegendItem("ours", true, page.Say("curves.this")) +
                    LegendItem("ours", false, page.Say("curves.point")) +
                    LegendItem("ideal", true, page.Say("curves.prevalence")));
}

Html CalibrationFigure(const Page& page) {
  Plot plot(UnitAxis(page.Say("curves.predicted")), UnitAxis(page.Say("curves.observed")));
  plot.Line({{0, 0}, {1, 1}}, "ideal");
  Plot::Points points;
  for (const CalibrationBin& bin : page.numbers.calibration) {
    const Estimate interval = *Wilson(bin.positives, bin.n);
    plot.Interval(bin.mean_score, interval.lower, interval.upper, "thin");
    points.emplace_back(bin.mean_score, bin.observed());
  }
  plot.Line(points, "ours");
  for (const auto& [x, y] : points) {
    plot.Dot(x, y, 3.2, "ours");
  }
  return Figure(
      page.Say("curves.calibration"), plot.Svg(page.Say("curves.calibration")),
      LegendItem("ours", true, page.Say("curves.bins")) + LegendItem("ideal", true, page.Say("curves.ideal")));
}

Html DecisionFigure(const Page& page) {
  const std::vector<NetBenefit>& curve = page.numbers.decision_curve;
  double highest = 0.05;
  for (const NetBenefit& point : curve) {
    highest = std::max({highest, point.model, point.treat_all});
  }
  const double step = highest > 0.5 ? 0.2 : highest > 0.2 ? 0.1 : highest > 0.1 ? 0.05 : 0.02;
  Axis benefit;
  benefit.label = page.Say("curves.benefit");
  benefit.to = std::ceil(highest / step) * step;
  benefit.from = -0.1 * benefit.to;
  for (int i = 0; i * step <= benefit.to + 1e-9; ++i) {
    benefit.ticks.emplace_back(i * step, i == 0 ? "0" : FormatExact(i * step, NumberStyle::kPlain));
  }
  const double from = benefit.from;
  Plot plot(UnitAxis(page.Say("curves.act_at")), benefit);
  plot.Line({{0, 0}, {1, 0}}, "nobody");
  Plot::Points all;
  Plot::Points model;
  for (const NetBenefit& point : curve) {
    if (all.empty() || all.back().second > from) {
      all.emplace_back(point.threshold, point.treat_all);
    }
    model.emplace_back(point.threshold, point.model);
  }
  plot.Line(all, "local");
  plot.Line(model, "ours");
  return Figure(page.Say("curves.decision"), plot.Svg(page.Say("curves.decision")),
                LegendItem("ours", true, page.Say("curves.this")) + LegendItem("local", true, page.Say("curves.all")) +
                    LegendItem("nobody", true, page.Say("curves.nobody")));
}

Html MetricRow(const Page& page, const Html& name, const Estimable<Estimate>& estimate, NumberStyle style) {
  return Fill(
      "<tr><th scope=\"row\">{name}</th><td data-h=\"{h1}\">{value}</td><td data-h=\"{h2}\">{n}</td><td "
      "data-h=\"{h3}\">{method}</td></tr>\n",
      {{"name", name},
       {"h1", page.Say("numbers.value")},
       {"h2", page.Say("numbers.n")},
       {"h3", page.Say("numbers.method")},
       {"value", page.Value(estimate, style)},
       {"n", estimate.ok() ? Html::Raw(std::to_string(estimate->n)) : Html::Raw("–")},
       {"method", estimate.ok() ? page.MethodName(estimate->method) : Html::Raw("–")}});
}

Html MetricTable(const Page& page) {
  Html rows;
  for (const auto& [name, estimate] : page.numbers.model.metrics) {
    rows += MetricRow(page, page.MetricName(name), estimate, StyleOf(name));
  }
  const Estimable<Recalibration>& line = page.numbers.recalibration;
  rows += MetricRow(page, page.MetricName("calibration_slope"),
                    line.ok() ? Estimable<Estimate>(line->slope) : line.reason(), NumberStyle::kPlain);
  rows += MetricRow(page, page.MetricName("calibration_intercept"),
                    line.ok() ? Estimable<Estimate>(line->intercept) : line.reason(), NumberStyle::kPlain);
  const std::string prevalence = FormatExact(std::round(page.numbers.prevalence * 1000) / 1000, NumberStyle::kPercent);
  rows += MetricRow(page, page.Say("numbers.ppv_here", {{"prevalence", prevalence}}), page.numbers.ppv_at_prevalence,
                    NumberStyle::kPercent);
  return Fill(
      R"(<table class="data stack"><thead><tr><th scope="col">{measure}</th>
<th scope="col">{value} <span class="ci">{ci}</span></th><th scope="col">{n}</th><th scope="col">{method}</th></tr>
</thead><tbody>
{rows}</tbody></table>
)",
      {{"measure", page.Say("compare.measure")},
       {"value", page.Say("numbers.value")},
       {"ci", page.Say("ci")},
       {"n", page.Say("numbers.n")},
       {"method", page.Say("numbers.method")},
       {"rows", rows}});
}

}  // namespace

Html CurvesSection(const Page& page) {
  Html charts;
  if (BothClasses(page.numbers.model.roc)) {
    charts =
        Fill("<div class=\"charts\">{all}</div>\n",
             {{"all", RocFigure(page) + PrecisionRecallFigure(page) + CalibrationFigure(page) + DecisionFigure(page)}});
  } else {
    charts = Fill("<p class=\"ne\">{text}</p>\n",
                  {{"text", page.Say(page.numbers.studies == 0 ? "reason.no_cases" : "curves.one_class")}});
  }
  const Confusion& table = page.numbers.model.table;
  const Html counts = page.Say("numbers.table", {{"threshold", FormatExact(page.input.threshold, NumberStyle::kPlain)},
                                                 {"tp", table.true_positives},
                                                 {"fn", table.false_negatives},
                                                 {"tn", table.true_negatives},
                                                 {"fp", table.false_positives}});
  const Html note = page.Say("numbers.note", {{"replicates", static_cast<uint64_t>(page.input.bootstrap.replicates)},
                                              {"seed", page.input.bootstrap.seed}});
  return Section("curves", page.Say("curves.title"),
                 Fill("{charts}<p>{counts}</p>\n{table}<p class=\"note\">{note}</p>\n",
                      {{"charts", charts}, {"counts", counts}, {"table", MetricTable(page)}, {"note", note}}));
}

}  // namespace cloister::eval
