// SPDX-License-Identifier: Apache-2.0
// Puts the sections together, once per language, into one file that asks nothing of any network.

#include <fmt/core.h>

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

using SectionFunction = Html (*)(const Page&);

// In reading order; a new section is one file and one line here.
constexpr SectionFunction kOfRelease[] = {MastSection,       AnswerSection,    GatesSection,     TestedSection,
                                          SitesSection,      SubgroupsSection, CasesSection,     ThresholdSection,
                                          CompareSection,    CurvesSection,    StatementSection, PrivacySection,
                                          ProvenanceSection, SignOffSection};
constexpr SectionFunction kOfPredictions[] = {MastSection,      AnswerSection,    TestedSection,    OverSitesSection,
                                              SubgroupsSection, CasesSection,     ThresholdSection, CompareSection,
                                              CurvesSection,    ProvenanceSection};

constexpr SectionFunction kOfMeasures[] = {MastSection, MeasuresSection, ProvenanceSection};

absl::Span<const SectionFunction> SectionsOf(const ReportInput& input) {
  if (!input.measure_tables.empty()) {
    return kOfMeasures;
  }
  return input.outside ? absl::Span<const SectionFunction>(kOfPredictions) : kOfRelease;
}

Html Article(const ReportInput& input, const ReportNumbers& numbers, Language language) {
  const Page page(input, numbers, language);
  Html sections;
  for (const SectionFunction section : SectionsOf(input)) {
    sections += section(page);
  }
  return Fill("<article class=\"{class}\" lang=\"{lang}\">\n{sections}</article>\n",
              {{"class", language == Language::kEn ? "en" : "zh"},
               {"lang", language == Language::kEn ? "en" : "zh-Hans"},
               {"sections", sections}});
}

// For the script: thresholds and counts at each, the class sizes, and where the released threshold is. Numbers only, so
// it needs no escaping.
Html SweepData(const ReportInput& input, const ReportNumbers& numbers) {
  std::string t;
  std::string tp;
  std::string fp;
  size_t released = 0;
  for (size_t i = 0; i < numbers.sweep.size(); ++i) {
    const AtThreshold& point = numbers.sweep[i];
    const char* comma = i == 0 ? "" : ",";
    t += fmt::format("{}\"{}\"", comma, FormatExact(point.threshold, NumberStyle::kPlain));
    tp += fmt::format("{}{}", comma, point.true_positives);
    fp += fmt::format("{}{}", comma, point.false_positives);
    released = point.threshold == input.threshold ? i : released;
  }
  return Html::Raw(fmt::format(
      "{{\"t\":[{}],\"tp\":[{}],\"fp\":[{}],\"p\":{},\"n\":{},\"released\":{},\"volume\":{},\"prevalence\":{}}}", t, tp,
      fp, numbers.model.table.positives(), numbers.model.table.negatives(), released,
      input.studies_per_day.value_or(100), numbers.prevalence));
}

}  // namespace

std::string HtmlPage(const ReportInput& input, const ReportNumbers& numbers) {
  const bool english = input.language == "en";
  const Html checked = Html::Raw(" checked");
  const Page page(input, numbers, english ? Language::kEn : Language::kZh);
  return Fill(R"(<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<input type="radio" name="lang" id="lang-zh"{zh}><input type="radio" name="lang" id="lang-en"{en}>
<nav><span><label for="lang-zh" lang="zh-Hans">中文</label><label for="lang-en" lang="en">English</label></span>
<button type="button" id="print"><span class="zh">打印</span><span class="en">Print</span></button></nav>
{articles}<script type="application/json" id="sweep">{sweep}</script>
<script>{script}</script>
</body>
</html>
)",
              {{"lang", english ? "en" : "zh-Hans"},
               {"style_hash", Html::Raw(std::string(PageStyleHash()))},
               {"script_hash", Html::Raw(std::string(PageScriptHash()))},
               {"title", input.site_name.empty()
                             ? page.Local(input.task_title)
                             : fmt::format("{} · {}", page.Local(input.task_title), input.site_name)},
               {"style", Html::Raw(std::string(PageStyle()))},
               {"script", Html::Raw(std::string(PageScript()))},
               {"zh", english ? Html() : checked},
               {"en", english ? checked : Html()},
               {"articles", Article(input, numbers, Language::kZh) + Article(input, numbers, Language::kEn)},
               {"sweep", SweepData(input, numbers)}})
      .str();
}

}  // namespace cloister::eval
