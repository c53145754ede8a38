// SPDX-License-Identifier: Apache-2.0
// This release against the model trained on this hospital's data alone: is taking part worth it here?

#include <fmt/core.h>

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

Html Difference(const Page& page, const Comparison& one) {
  if (!one.difference.ok()) {
    return page.Why(one.difference.reason());
  }
  const Estimate& difference = *one.difference;
  const NumberStyle style = StyleOf(one.metric);
  const Html interval = page.Say("interval", {{"low", WithSign(FormatLower(difference.lower, style, difference.n))},
                                              {"high", WithSign(FormatUpper(difference.upper, style, difference.n))}});
  Html text = Fill("<span class=\"val\">{value}</span> <span class=\"ci\">{interval}</span>",
                   {{"value", WithSign(FormatPoint(difference.value, style, difference.n))}, {"interval", interval}});
  if (one.mcnemar_p) {
    const std::string p = *one.mcnemar_p < 0.01 ? "p &lt; 0.01" : fmt::format("p = {:.2f}", *one.mcnemar_p);
    text += Html::Raw(" <span class=\"ci\">· " + p + "</span>");
  }
  return page.Grey(text, difference.n);
}

}  // namespace

Html CompareSection(const Page& page) {
  if (page.numbers.comparisons.empty()) {
    return Section("compare", page.Say("compare.title"), Fill("<p>{none}</p>\n", {{"none", page.Say("compare.none")}}));
  }
  Html rows;
  for (const Comparison& one : page.numbers.comparisons) {
    const NumberStyle style = StyleOf(one.metric);
    rows += Fill(
        "<tr><th scope=\"row\">{metric}</th><td data-h=\"{h1}\">{ours}</td><td data-h=\"{h2}\">{local}</td><td "
        "data-h=\"{h3}\">{difference}</td></tr>\n",
        {{"metric", page.MetricName(one.metric)},
         {"h1", page.Say("compare.ours")},
         {"h2", page.ComparedWith()},
         {"h3", page.Say("compare.difference")},
         {"ours", page.Value(one.ours, style)},
         {"local", page.Value(one.local_only, style)},
         {"difference", Difference(page, one)}});
  }
  return Section("compare", page.Say("compare.title"),
                 Fill(
                     R"(<table class="data stack"><thead><tr><th scope="col">{measure}</th><th scope="col">{ours}</th>
<th scope="col">{local}</th><th scope="col">{difference}</th></tr></thead><tbody>
{rows}</tbody></table>
<p class="note">{note}</p>
)",
                     {{"measure", page.Say("compare.measure")},
                      {"ours", page.Say("compare.ours")},
                      {"local", page.ComparedWith()},
                      {"difference", page.Say("compare.difference")},
                      {"rows", rows},
                      {"note", page.Say("compare.note")}}));
}

}  // namespace cloister::eval
