// SPDX-License-Identifier: Apache-2.0
// What another threshold would have done to the patients tested: a slider on the screen, a table on paper.

#include <fmt/core.h>

#include <algorithm>

#include "eval/federated/score_histogram.h"
#include "eval/report/page.h"

namespace cloister::eval {
namespace {

constexpr int kBars = 50;
constexpr double kHalfHeight = 58;

// What a threshold does, written as the script writes it again after every move.
struct Outcomes {
  std::string missed100 = "–";
  std::string alarms100 = "–";
  std::string missed_day = "–";
  std::string alarms_day = "–";
  std::string real_day = "–";
};

double Volume(const Page& page) {
  return page.input.studies_per_day.value_or(100);
}

Outcomes At(const Page& page, const AtThreshold& point) {
  const Confusion& all = page.numbers.model.table;
  const double positives = static_cast<double>(all.positives());
  const double negatives = static_cast<double>(all.negatives());
  Outcomes outcomes;
  const double missed = positives > 0 ? 1 - static_cast<double>(point.true_positives) / positives : 0;
  const double alarmed = negatives > 0 ? static_cast<double>(point.false_positives) / negatives : 0;
  const double sick = Volume(page) * page.numbers.prevalence;
  const double well = Volume(page) - sick;
  if (positives > 0) {
    outcomes.missed100 = FormatPoint(missed, NumberStyle::kPer100, all.positives());
    outcomes.missed_day = FormatDaily(sick * missed);
    outcomes.real_day = FormatDaily(sick * (1 - missed));
  }
  if (negatives > 0) {
    outcomes.alarms100 = FormatPoint(alarmed, NumberStyle::kPer100, all.negatives());
  }
  if (positives > 0 && negatives > 0) {
    outcomes.alarms_day = FormatDaily(sick * (1 - missed) + well * alarmed);
  }
  return outcomes;
}

// Scores of those with the condition upwards, of those without downwards; what the threshold calls wrongly is hatched
// by its class.
Html Histogram(const Page& page) {
  std::vector<uint64_t> counts[2] = {std::vector<uint64_t>(kBars), std::vector<uint64_t>(kBars)};
  for (const ReportCase& one : page.input.cases) {
    ++counts[one.prediction.label ? 1 : 0][static_cast<size_t>(BinOf(one.prediction.score, kBars))];
  }
  uint64_t highest[2];  // each class to its own scale: shapes are compared, not prevalence
  for (int label : {0, 1}) {
    highest[label] = std::max(uint64_t{1}, *std::max_element(counts[label].begin(), counts[label].end()));
  }
  std::string bars;
  for (int bar = 0; bar < kBars; ++bar) {
    for (int label : {1, 0}) {
      const uint64_t count = counts[label][static_cast<size_t>(bar)];
      if (count == 0) {
        continue;
      }
      const double height =
          std::max(1.5, kHalfHeight * static_cast<double>(count) / static_cast<double>(highest[label]));
      const double middle = (bar + 0.5) / kBars;
      const bool wrong = (middle >= page.input.threshold) != (label == 1);
      bars += fmt::format(
          "<rect class=\"{}{}\" data-m=\"{:.2f}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"1.7\" height=\"{:.1f}\"/>",
          label == 1 ? "pos" : "neg", wrong ? " wrong" : "", middle, bar * 2 + 0.15, label == 1 ? 60 - height : 62,
          height);
    }
  }
  return Fill(
      R"(<svg class="scores" viewBox="0 0 100 122" preserveAspectRatio="none" aria-hidden="true">{bars}<path class="axis" d="M0 61H100"/><path class="cut" d="M{x} 0V122"/></svg>
)",
      {{"bars", Html::Raw(bars)}, {"x", fmt::format("{:.2f}", 100 * page.input.threshold)}});
}

Html Tile(std::string_view name, const std::string& value, const Html& label) {
  return Fill("<div class=\"tile\"><output data-o=\"{name}\">{value}</output><span>{label}</span></div>\n",
              {{"name", name}, {"value", value}, {"label", label}});
}

Html Assumption(const Page& page) {
  const std::string prevalence = FormatExact(page.numbers.prevalence, NumberStyle::kPercent);
  if (!page.input.studies_per_day) {
    return page.Say("threshold.at_100", {{"prevalence", prevalence}});
  }
  return page.Say("threshold.at", {{"volume", fmt::format("{:g}", Volume(page))}, {"prevalence", prevalence}});
}

Html PaperTable(const Page& page) {
  const bool daily = page.input.studies_per_day.has_value();
  Html rows;
  for (const AtThreshold& point : page.numbers.sweep) {
    const bool released = point.threshold == page.input.threshold;
    const int hundredths = static_cast<int>(point.threshold * 100 + 0.5);
    if (!released && (hundredths % 10 != 0 || hundredths == 0 || hundredths == 100)) {
      continue;
    }
    const Outcomes outcomes = At(page, point);
    Html mark;
    if (released) {
      mark = Fill(" <strong>({text})</strong>", {{"text", page.Say("threshold.released_mark")}});
    }
    rows += Fill(
        "<tr class=\"{kind}\"><th "
        "scope=\"row\">{threshold}{mark}</th><td>{missed100}</td><td>{alarms100}</td><td>{missed}</td><td>{alarms}</"
        "td><td>{real}</td></tr>\n",
        {{"kind", released ? "ours" : "other"},
         {"threshold", FormatExact(point.threshold, NumberStyle::kPlain)},
         {"mark", mark},
         {"missed100", outcomes.missed100},
         {"alarms100", outcomes.alarms100},
         {"missed", outcomes.missed_day},
         {"alarms", outcomes.alarms_day},
         {"real", outcomes.real_day}});
  }
  return Fill(
      R"(<table class="data paper"><thead><tr><th scope="col">{threshold}</th><th scope="col">{missed100}</th>
<th scope="col">{alarms100}</th><th scope="col">{missed}</th><th scope="col">{alarms}</th>
<th scope="col">{real}</th></tr></thead><tbody>
{rows}</tbody></table>
<p class="note paper">{at}</p>
)",
      {{"threshold", page.Say("threshold.slider")},
       {"missed100", page.Say("threshold.missed100", {{"condition", page.Condition()}})},
       {"alarms100", page.Say("threshold.alarms100")},
       {"missed", page.Say(daily ? "threshold.missed_day" : "threshold.missed_100")},
       {"alarms", page.Say(daily ? "threshold.alarms_day" : "threshold.alarms_100")},
       {"real", page.Say("threshold.real_day")},
       {"rows", rows},
       {"at", Assumption(page)}});
}

// "youden", "sensitivity 0.95": in words where the catalogue knows the first word.
Html RuleInWords(const Page& page) {
  const std::string& rule = page.input.threshold_rule;
  const size_t space = rule.find(' ');
  const std::string key = "rule." + rule.substr(0, space);
  if (rule.empty() || FindText(key, page.language).empty()) {
    return Html::Text(rule);
  }
  return page.Say(key, {{"target", space == std::string::npos ? std::string() : rule.substr(space + 1)}});
}

}  // namespace

Html ThresholdSection(const Page& page) {
  const auto& sweep = page.numbers.sweep;
  const auto released = std::find_if(sweep.begin(), sweep.end(),
                                     [&](const AtThreshold& one) { return one.threshold == page.input.threshold; });
  const Outcomes outcomes = At(page, *released);
  const bool daily = page.input.studies_per_day.has_value();
  const std::string threshold = FormatExact(page.input.threshold, NumberStyle::kPlain);
  Html about = page.Say("threshold.released", {{"threshold", threshold}});
  if (const Html rule = RuleInWords(page); !rule.empty()) {
    about += Html::Raw(page.language == Language::kEn ? ", " : "，") + page.Say("threshold.rule", {{"rule", rule}});
  }
  about += Html::Raw(page.language == Language::kEn ? ". " : "。");
  about += Fill("<span class=\"screen\">{note}</span>", {{"note", page.Say("threshold.note")}});
  const Confusion& all = page.numbers.model.table;
  Html one_class;
  if (all.positives() == 0 || all.negatives() == 0) {
    one_class = Fill("<p class=\"caution\">{text}</p>\n",
                     {{"text", page.Say(page.numbers.studies == 0 ? "reason.no_cases" : "threshold.one_class")}});
  }
  Html volume;
  if (daily) {
    volume = Fill(
        "<label>{text} <input type=\"number\" min=\"1\" max=\"100000\" step=\"1\" value=\"{value}\" "
        "data-i=\"volume\"></label>",
        {{"text", page.Say("threshold.volume")}, {"value", fmt::format("{:g}", Volume(page))}});
  }
  const Html tiles =
      Tile("missed100", outcomes.missed100, page.Say("threshold.missed100", {{"condition", page.Condition()}})) +
      Tile("alarms100", outcomes.alarms100, page.Say("threshold.alarms100")) +
      Tile("missed", outcomes.missed_day, page.Say(daily ? "threshold.missed_day" : "threshold.missed_100")) +
      Tile("alarms", outcomes.alarms_day, page.Say(daily ? "threshold.alarms_day" : "threshold.alarms_100")) +
      Tile("real", outcomes.real_day, page.Say("threshold.real_day"));
  const Html slider = Fill(R"(<div class="slider screen">
<ul class="legend"><li><svg viewBox="0 0 14 14" aria-hidden="true">
<rect class="pos" x="2" y="1" width="4" height="12"/></svg>{with} ↑</li><li>
<svg viewBox="0 0 14 14" aria-hidden="true"><rect class="neg" x="2" y="1" width="4" height="12"/>
</svg>{without} ↓</li><li><svg viewBox="0 0 14 14" aria-hidden="true">
<rect class="pos wrong" x="2" y="1" width="4" height="12"/></svg>{wrong}</li></ul>
{histogram}<label class="range">{label} <output data-o="threshold">{threshold}</output>
<input type="range" min="0" max="{last}" step="1" value="{index}" aria-label="{label}"></label>
<div class="tiles">
{tiles}</div>
<div class="assume">{volume}<label>{prevalence_label} <input type="number" min="0" max="100" step="0.1" value="{prevalence}" data-i="prevalence"></label><button type="button" data-i="reset">{reset}</button></div>
</div>
)",
                           {{"with", page.Say("threshold.with", {{"condition", page.Condition()}})},
                            {"without", page.Say("threshold.without", {{"condition", page.Condition()}})},
                            {"wrong", page.Say("threshold.wrong")},
                            {"histogram", Histogram(page)},
                            {"label", page.Say("threshold.slider")},
                            {"threshold", threshold},
                            {"last", uint64_t{sweep.size() - 1}},
                            {"index", static_cast<uint64_t>(released - sweep.begin())},
                            {"tiles", tiles},
                            {"volume", volume},
                            {"prevalence_label", page.Say("threshold.prevalence")},
                            {"prevalence", fmt::format("{:.1f}", 100 * page.numbers.prevalence)},
                            {"reset", page.Say("threshold.reset")}});
  return Section("threshold", page.Say("threshold.title"),
                 Fill("<p>{about}</p>\n{one_class}{slider}{paper}",
                      {{"about", about}, {"one_class", one_class}, {"slider", slider}, {"paper", PaperTable(page)}}));
}

}  // namespace cloister::eval
