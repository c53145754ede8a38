// SPDX-License-Identifier: Apache-2.0
// The top of the page: what it is about, and the answer in plain words before any other number.

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

Html Big(const std::string& number) {
  return Fill("<b>{n}</b>", {{"n", number}});
}

Html Big(const Page& page, const std::string& number, uint64_t n) {
  return page.Grey(Big(number), n);
}

// 1 - a share, with its interval.
Estimate Complement(const Estimate& share) {
  Estimate rest = share;
  rest.value = 1 - share.value;
  rest.lower = 1 - share.upper;
  rest.upper = 1 - share.lower;
  return rest;
}

Html Wrong(const Page& page, std::string_view key, const Estimate& share) {
  const Estimate wrong = Complement(share);
  return page.Say(fmt::format("{}{}", key, page.numbers.one_study_per_patient ? "" : "_studies"),
                  {{"condition", page.Condition()},
                   {"n", Big(page, FormatPoint(wrong.value, NumberStyle::kPer100, wrong.n), wrong.n)},
                   {"interval", page.Interval(wrong, NumberStyle::kPer100)}});
}

Html RealAlarms(const Page& page) {
  const ReportNumbers& numbers = page.numbers;
  if (!numbers.ppv_at_prevalence.ok()) {
    return numbers.ppv_at_prevalence.reason() == Reason::kNoCalls ? page.Say("answer.no_alarms") : Html();
  }
  const double share = numbers.ppv_at_prevalence->value;
  const uint64_t fewest = std::min(numbers.positive_patients, numbers.negative_patients);
  const std::string key = numbers.prevalence_given ? "answer." : "answer.tested_";
  const Html prevalence = Big(FormatExact(std::round(numbers.prevalence * 1000) / 1000, NumberStyle::kPercent));
  constexpr double kOneInThree = 0.35;  // above it "1 in n" would be too coarse
  if (share < kOneInThree) {
    const long one_in = std::lround(1 / std::max(share, 1e-4));
    return page.Say(key + "one_in", {{"prevalence", prevalence}, {"n", Big(page, std::to_string(one_in), fewest)}});
  }
  const long of = share >= 0.95 ? 100 : 10;
  const long real = std::lround(share * static_cast<double>(of));
  return page.Say(
      key + "of_ten",
      {{"prevalence", prevalence}, {"k", Big(page, std::to_string(real), fewest)}, {"n", Big(std::to_string(of))}});
}

// A hundred marks, the wrong ones first and of another shape.
Html Dots(const Page& page, const Estimate& share, std::string_view caption, std::string_view right_key,
          std::string_view wrong_key) {
  constexpr int kColumns = 20;
  constexpr int kCell = 14;
  const int wrong = static_cast<int>(std::lround(100 * (1 - share.value)));
  std::string marks;
  for (int i = 0; i < 100; ++i) {
    const int x = (i % kColumns) * kCell + kCell / 2;
    const int y = (i / kColumns) * kCell + kCell / 2;
    marks += i < wrong ? fmt::format("<path class=\"bad\" d=\"M{} {}l8 8m0 -8l-8 8\"/>", x - 4, y - 4)
                       : fmt::format("<circle class=\"good\" cx=\"{}\" cy=\"{}\" r=\"4.2\"/>", x, y);
  }
  return Fill(R"(<figure class="dots{few}"><figcaption>{caption}</figcaption>
<svg viewBox="0 0 280 70" role="img" aria-label="{caption}">{marks}</svg>
<ul class="legend"><li><svg viewBox="0 0 14 14" aria-hidden="true"><circle class="good" cx="7" cy="7" r="4.2"/>
</svg>{right}</li>
<li><svg viewBox="0 0 14 14" aria-hidden="true"><path class="bad" d="M3 3l8 8m0 -8l-8 8"/></svg>{wrong}</li></ul>
</figure>
)",
              {{"few", page.Few(share.n) ? " faint" : ""},
               {"caption", page.Say(caption, {{"condition", page.Condition()}})},
               {"marks", Html::Raw(marks)},
               {"right", page.Say(right_key)},
               {"wrong", page.Say(wrong_key)}});
}

Html FewNote(const Page& page, std::string_view with_key, uint64_t n) {
  if (n == 0 || !page.Few(n)) {
    return {};
  }
  return Fill(
      "<p class=\"caution\">{text}</p>\n",
      {{"text", page.Say("answer.few", {{"n", n}, {"with", page.Say(with_key, {{"condition", page.Condition()}})}})}});
}

}  // namespace

Html MastSection(const Page& page) {
  const ReportInput& input = page.input;
  Html status = page.Say("status.unsigned");
  std::string style = "open";
  if (input.sign_off) {
    const bool accepted = input.sign_off->decision == SignOff::Decision::kAccepted;
    style = accepted ? "accepted" : "refused";
    status = page.Say("status." + style, {{"name", input.sign_off->name}});
  }
  return Fill(R"(<header class="mast" data-part="mast">
<p class="kicker">{report}</p>
<h1>{task}</h1>
<p class="where"><span>{site}</span><span>{release}</span><span>{date}</span></p>
<p class="status {style}">{status}</p>
</header>
)",
              {{"report", page.Say("report")},
               {"task", page.Local(input.task_title)},
               {"site", input.site_name},
               {"release", input.provenance.release},
               {"date", input.provenance.generated_utc.substr(0, 10)},
               {"style", style},
               {"status", status}});
}

Html AnswerSection(const Page& page) {
  const Estimable<Estimate> sensitivity = page.numbers.model.Find("sensitivity");
  const Estimable<Estimate> specificity = page.numbers.model.Find("specificity");
  const HtmlArg condition = {"condition", page.Condition()};
  const Html misses =
      sensitivity.ok() ? Wrong(page, "answer.misses", *sensitivity) : page.Say("answer.no_positives", {condition});
  const Html alarms =
      specificity.ok() ? Wrong(page, "answer.alarms", *specificity) : page.Say("answer.no_negatives", {condition});
  Html dots;
  if (sensitivity.ok()) {
    dots += Dots(page, *sensitivity, "answer.dots_with", "answer.found", "answer.missed");
  }
  if (specificity.ok()) {
    dots += Dots(page, *specificity, "answer.dots_without", "answer.cleared", "answer.alarmed");
  }
  return Fill(
      "<section data-part=\"answer\" class=\"answer\">\n<p class=\"lead\">{misses}{space}{alarms}{space}{real}</p>\n"
      "<div class=\"pair\">{dots}</div>\n{few}</section>\n",
      {{"misses", misses},
       {"alarms", alarms},
       {"space", page.Space()},
       {"real", RealAlarms(page)},
       {"dots", dots},
       {"few", FewNote(page, "answer.with", page.numbers.positive_patients) +
                   FewNote(page, "answer.without", page.numbers.negative_patients)}});
}

}  // namespace cloister::eval
