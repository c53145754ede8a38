#pragma once
// SPDX-License-Identifier: Apache-2.0
// The page in one language: what its sections share, and the sections themselves, one file each, in reading order.

#include <string>
#include <string_view>

#include "eval/report/catalogue.h"
#include "eval/report/html.h"
#include "eval/report/numbers.h"
#include "eval/report/numerals.h"

namespace cloister::eval {

class Page {
 public:
  Page(const ReportInput& input, const ReportNumbers& numbers, Language language)
      : input(input), numbers(numbers), language(language) {}

  const ReportInput& input;
  const ReportNumbers& numbers;
  const Language language;

  Html Say(std::string_view key, std::initializer_list<HtmlArg> args = {}) const;
  std::string Local(const LocalText& text) const;  // the other language's text where this one's is empty
  // The other model on the same cases.
  Html ComparedWith() const;
  std::string Condition() const { return Local(input.condition); }
  Html MetricName(std::string_view metric) const;  // the name itself for a metric the catalogue does not know
  Html MethodName(std::string_view method) const;
  Html Why(Reason reason) const;

  // Between two sentences: nothing in Chinese.
  std::string_view Space() const { return language == Language::kEn ? " " : ""; }

  bool Few(uint64_t n) const { return n < input.minimum_n; }
  // "88% to 96%"
  Html Interval(const Estimate& estimate, NumberStyle style) const;
  // "93% 88% to 96%", greyed where it is about few patients; or why there is none.
  Html Value(const Estimable<Estimate>& estimate, NumberStyle style) const;
  Html Value(const Disclosed<Estimate>& estimate, NumberStyle style) const;
  Html Grey(Html value, uint64_t n) const;
};

// <section data-part="..."> with its heading.
Html Section(std::string_view part, const Html& title, const Html& body);

Html MastSection(const Page& page);
Html AnswerSection(const Page& page);
Html GatesSection(const Page& page);
Html TestedSection(const Page& page);
Html SitesSection(const Page& page);
Html OverSitesSection(const Page& page);
Html SubgroupsSection(const Page& page);
Html MeasuresSection(const Page& page);
Html CasesSection(const Page& page);
Html ThresholdSection(const Page& page);
Html CompareSection(const Page& page);
Html CurvesSection(const Page& page);
Html StatementSection(const Page& page);
Html PrivacySection(const Page& page);
Html ProvenanceSection(const Page& page);
Html SignOffSection(const Page& page);

// Both languages behind a switch.
std::string HtmlPage(const ReportInput& input, const ReportNumbers& numbers);

// The inline assets, and the hashes that the page's content security policy names (base64 SHA-256 of exactly these
// texts).
std::string_view PageStyle();
std::string_view PageScript();
std::string_view PageStyleHash();
std::string_view PageScriptHash();

}  // namespace cloister::eval
