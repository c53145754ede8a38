// SPDX-License-Identifier: Apache-2.0
// Cases from several sites in one file: each measure's mean over the sites, and where a new site would lie.

#include "eval/report/page.h"

namespace cloister::eval {

Html OverSitesSection(const Page& page) {
  if (page.numbers.over_sites.empty()) {
    return {};
  }
  Html rows;
  for (const PooledMetric& one : page.numbers.over_sites) {
    const NumberStyle style = StyleOf(one.metric);
    Html cells =
        Fill("<td colspan=\"3\">{why}</td>", {{"why", one.pooled.ok() ? Html() : page.Why(one.pooled.reason())}});
    if (one.pooled.ok()) {
      const RandomEffects& pooled = *one.pooled;
      const uint64_t n = page.numbers.patients;  // how many digits the numbers deserve
      Estimate mean = pooled.mean;
      Estimate new_site = pooled.mean;
      mean.n = new_site.n = n;
      new_site.lower = pooled.prediction_lower;
      new_site.upper = pooled.prediction_upper;
      cells =
          Fill("<td data-h=\"{h1}\">{mean}</td><td data-h=\"{h2}\">{new_site}</td><td data-h=\"{h3}\">{spread}</td>",
               {{"h1", page.Say("over_sites.mean")},
                {"h2", page.Say("over_sites.prediction")},
                {"h3", page.Say("over_sites.i_squared")},
                {"mean", page.Value(Estimable<Estimate>(mean), style)},
                {"new_site", page.Interval(new_site, style)},
                {"spread", FormatPoint(pooled.i_squared, NumberStyle::kPercent, 0)}});
    }
    rows += Fill("<tr><th scope=\"row\">{metric}</th><td data-h=\"{h}\">{sites}</td>{cells}</tr>\n",
                 {{"metric", page.MetricName(one.metric)},
                  {"h", page.Say("provenance.sites")},
                  {"sites", uint64_t{one.sites.size()}},
                  {"cells", cells}});
  }
  return Section("over_sites", page.Say("over_sites.title"),
                 Fill(R"(<table class="data stack"><thead><tr><th scope="col">{measure}</th><th scope="col">{sites}</th>
<th scope="col">{mean} <span class="ci">{ci}</span></th><th scope="col">{new_site}</th><th scope="col">{spread}</th></tr>
</thead><tbody>
{rows}</tbody></table>
<p class="note">{note}</p>
)",
                      {{"measure", page.Say("compare.measure")},
                       {"sites", page.Say("provenance.sites")},
                       {"mean", page.Say("over_sites.mean")},
                       {"ci", page.Say("ci")},
                       {"new_site", page.Say("over_sites.prediction")},
                       {"spread", page.Say("over_sites.i_squared")},
                       {"rows", rows},
                       {"note", page.Say("over_sites.note")}}));
}

}  // namespace cloister::eval
