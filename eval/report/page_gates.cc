// SPDX-License-Identifier: Apache-2.0
// The verdicts of the pre-registered gates, each with its rule and the number it was decided on.

#include <fmt/core.h>

#include <algorithm>

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

Html Rule(const Page& page, const Gate& gate) {
  const bool non_inferior = gate.comparison == Gate::Comparison::kNonInferior;
  const std::string key = non_inferior                           ? "gates.non_inferior"
                          : gate.use == Gate::Using::kLowerBound ? "gates.at_least_lower"
                                                                 : "gates.at_least_estimate";
  return page.Say(key, {{"metric", page.MetricName(gate.metric)},
                        {"scope", page.Say(gate.scope == Gate::Scope::kPerSite ? "gates.per_site" : "gates.pooled")},
                        {"bound", FormatExact(gate.bound, StyleOf(gate.metric))}});
}

Html Result(const Page& page, const ReportedGate& one) {
  const Verdict& verdict = one.verdict;
  if (verdict.basis.suppressed()) {
    return page.Say("gates.suppressed");
  }
  if (!verdict.basis.ok()) {
    return verdict.outcome == Outcome::kNotEstimable ? page.Why(verdict.basis.reason()) : Html::Text(verdict.reason);
  }
  const Estimate& estimate = *verdict.basis;
  const NumberStyle style = StyleOf(one.gate.metric);
  const std::string value = FormatPoint(estimate.value, style, estimate.n);
  if (one.gate.comparison == Gate::Comparison::kNonInferior) {
    return page.Say("gates.result_difference",
                    {{"lower", WithSign(FormatBeside(estimate.lower, -one.gate.bound, true, style, estimate.n))},
                     {"bound", "−" + FormatExact(one.gate.bound, style)},
                     {"value", WithSign(value)},
                     {"n", estimate.n}});
  }
  if (one.gate.use == Gate::Using::kLowerBound) {
    return page.Say("gates.result_lower",
                    {{"lower", FormatBeside(estimate.lower, one.gate.bound, false, style, estimate.n)},
                     {"value", value},
                     {"n", estimate.n}});
  }
  return page.Say(
      "gates.result_estimate",
      {{"value", FormatBeside(estimate.value, one.gate.bound, false, style, estimate.n)}, {"n", estimate.n}});
}

Html GreyResult(const Page& page, const ReportedGate& one) {
  const Disclosed<Estimate>& basis = one.verdict.basis;
  return basis.ok() ? page.Grey(Result(page, one), basis->n) : Result(page, one);
}

// A tick, a cross or a dash: the verdict reads without its colour.
std::string_view Icon(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPass:
      return "M3 8.5l3.5 3.5L13 4.5";
    case Outcome::kFail:
      return "M4 4l8 8m0 -8l-8 8";
    case Outcome::kNotEstimable:
      break;
  }
  return "M3.5 8h9";
}

}  // namespace

Html GatesSection(const Page& page) {
  const auto& gates = page.input.gates;
  if (gates.empty()) {
    return Section("gates", page.Say("gates.title"), Fill("<p>{none}</p>\n", {{"none", page.Say("gates.none")}}));
  }
  Html items;
  for (const ReportedGate& one : gates) {
    items += Fill(
        R"(<li class="{outcome}"><span class="badge"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="{icon}"/>
</svg>{word}</span>
<span class="rule">{rule}</span><span class="result">{result}</span></li>
)",
        {{"outcome", OutcomeCode(one.verdict.outcome)},
         {"icon", Icon(one.verdict.outcome)},
         {"word", page.Say(fmt::format("gates.{}", OutcomeCode(one.verdict.outcome)))},
         {"rule", Rule(page, one.gate)},
         {"result", GreyResult(page, one)}});
  }
  const uint64_t passed =
      std::count_if(gates.begin(), gates.end(), [](const auto& one) { return one.verdict.outcome == Outcome::kPass; });
  Html note = page.Say("gates.all_passed", {{"passed", passed}, {"all", uint64_t{gates.size()}}});
  if (const std::string& when = page.input.statement.preregistered_utc; !when.empty()) {
    note += Html::Text(page.Space()) + page.Say("gates.when", {{"when", FormatTime(when)}});
  }
  return Section(
      "gates", page.Say("gates.title"),
      Fill("<p class=\"note\">{note}</p>\n<ul class=\"gates\">{items}</ul>\n", {{"note", note}, {"items", items}}));
}

}  // namespace cloister::eval
