// SPDX-License-Identifier: Apache-2.0
#include "eval/report/page.h"

#include <fmt/core.h>

namespace cloister::eval {

Html Page::Say(std::string_view key, std::initializer_list<HtmlArg> args) const {
  std::string_view text = FindText(key, language);
  if (input.outside) {  // where a release and a hospital cannot be spoken of
    const std::string_view other = FindText(fmt::format("{}_outside", key), language);
    text = other.empty() ? text : other;
  }
  return text.empty() ? Html::Raw(fmt::format("[[{}]]", key)) : Fill(text, args);
}

std::string Page::Local(const LocalText& text) const {
  const std::string& wanted = language == Language::kEn ? text.en : text.zh;
  return !wanted.empty() ? wanted : language == Language::kEn ? text.zh : text.en;
}

Html Page::MetricName(std::string_view metric) const {
  const std::string key = fmt::format("metric.{}", metric);
  return FindText(key, language).empty() ? Html::Text(metric) : Say(key);
}

Html Page::MethodName(std::string_view method) const {
  const std::string key = fmt::format("method.{}", method);
  return FindText(key, language).empty() ? Html::Text(method) : Say(key);
}

Html Page::ComparedWith() const {
  const std::string named = Local(input.compared_with);
  return named.empty() ? Say("compare.local") : Html::Text(named);
}

Html Page::Why(Reason reason) const {
  return Fill("<span class=\"ne\">{why}</span>", {{"why", Say(fmt::format("reason.{}", ReasonCode(reason)))}});
}

Html Page::Interval(const Estimate& estimate, NumberStyle style) const {
  return Say("interval", {{"low", FormatLower(estimate.lower, style, estimate.n)},
                          {"high", FormatUpper(estimate.upper, style, estimate.n)}});
}

Html Page::Grey(Html value, uint64_t n) const {
  if (!Few(n)) {
    return value;
  }
  return Fill("<span class=\"few\" title=\"{title}\">{value}&#8201;†</span>",
              {{"title", Say("few_patients", {{"minimum", input.minimum_n}})}, {"value", std::move(value)}});
}

Html Page::Value(const Estimable<Estimate>& estimate, NumberStyle style) const {
  if (!estimate.ok()) {
    return Why(estimate.reason());
  }
  // Where all replicates agree, the bootstrap has nothing to say about uncertainty.
  const bool no_interval = estimate->lower == estimate->upper && estimate->method.rfind("bootstrap", 0) == 0;
  return Grey(Fill("<span class=\"val\">{value}</span> <span class=\"ci\">{interval}</span>",
                   {{"value", FormatPoint(estimate->value, style, estimate->n)},
                    {"interval", no_interval ? Say("no_interval") : Interval(*estimate, style)}}),
              estimate->n);
}

Html Page::Value(const Disclosed<Estimate>& estimate, NumberStyle style) const {
  if (estimate.suppressed()) {
    return Fill("<span class=\"ne\">{text}</span>", {{"text", Say("suppressed")}});
  }
  return Value(estimate.ok() ? Estimable<Estimate>(*estimate) : Estimable<Estimate>(estimate.reason()), style);
}

Html Section(std::string_view part, const Html& title, const Html& body) {
  return Fill("<section data-part=\"{part}\">\n<h2>{title}</h2>\n{body}</section>\n",
              {{"part", part}, {"title", title}, {"body", body}});
}

}  // namespace cloister::eval
