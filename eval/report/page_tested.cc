// SPDX-License-Identifier: Apache-2.0
// Who was tested: from what the PACS gave to the studies analysed, with every loss on the way.

#include <fmt/core.h>

#include <algorithm>

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

Html Row(const Html& name, uint64_t count, uint64_t of, bool loss) {
  const double share = of == 0 ? 0 : 100.0 * static_cast<double>(count) / static_cast<double>(of);
  return Fill(
      R"(<tr class="{kind}"><th scope="row">{name}</th><td class="num">{sign}{count}</td><td class="bar">
<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
<rect x="0" y="0" width="{width}" height="10"/></svg></td></tr>
)",
      {{"kind", loss ? "loss" : "stage"},
       {"name", name},
       {"sign", loss ? "−" : ""},
       {"count", count},
       {"width", fmt::format("{:.2f}", std::min(100.0, std::max(share, 0.4)))}});
}

}  // namespace

Html TestedSection(const Page& page) {
  const Flow& flow = page.input.flow;
  const uint64_t analysed = page.numbers.studies;
  const uint64_t all = std::max({flow.retrieved, flow.eligible, analysed});
  Html rows;
  if (flow.retrieved > 0) {
    rows += Row(page.Say("tested.retrieved"), flow.retrieved, all, false);
    if (flow.retrieved > flow.eligible) {
      rows += Row(page.Say("tested.not_eligible"), flow.retrieved - flow.eligible, all, true);
    }
    rows += Row(page.Say("tested.eligible"), flow.eligible, all, false);
    uint64_t lost = 0;
    auto loss = [&](const Html& name, uint64_t count) {
      lost += count;
      rows += count == 0 ? Html() : Row(name, count, all, true);
    };
    for (const auto& [reason, count] : flow.rejected) {
      loss(page.Say("tested.rejected", {{"reason", page.Local(reason)}}), count);
    }
    loss(page.Say("tested.no_reference"), flow.no_reference);
    loss(page.Say("tested.training"), flow.training);
    if (flow.eligible != lost + analysed) {
      const uint64_t rest =
          flow.eligible > lost + analysed ? flow.eligible - lost - analysed : lost + analysed - flow.eligible;
      rows += Row(Fill("<strong>{text}</strong>", {{"text", page.Say("tested.unaccounted")}}), rest, all, true);
    }
  }
  rows += Row(page.Say("tested.analysed"), analysed, all, false);
  const Html overlap = page.input.statement.overlapping_patients
                           ? page.Say("tested.overlap", {{"n", *page.input.statement.overlapping_patients}})
                           : page.Say("tested.overlap_unknown");
  return Section("tested", page.Say("tested.title"),
                 Fill("<p>{patients}</p>\n<table class=\"flow\"><tbody>{rows}</tbody></table>\n<p "
                      "class=\"note\">{unit}{space}{overlap}</p>\n",
                      {{"patients", page.Say("tested.patients", {{"patients", page.numbers.patients},
                                                                 {"positives", page.numbers.positive_patients},
                                                                 {"negatives", page.numbers.negative_patients},
                                                                 {"condition", page.Condition()}})},
                       {"rows", rows},
                       {"unit", page.Say("tested.unit")},
                       {"space", page.Space()},
                       {"overlap", overlap}}));
}

}  // namespace cloister::eval
