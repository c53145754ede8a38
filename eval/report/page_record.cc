// SPDX-License-Identifier: Apache-2.0
// The end of the page: statements that reporting guidelines ask for, where the numbers come from, and the signature.

#include <fmt/core.h>

#include <cmath>

#include "eval/report/page.h"

namespace cloister::eval {
namespace {

Html Term(const Html& name, const Html& value) {
  return Fill("<div><dt>{name}</dt><dd>{value}</dd></div>\n", {{"name", name}, {"value", value}});
}

Html OrNotStated(const Page& page, const std::string& text, std::string_view otherwise = "not_stated") {
  return text.empty() ? Fill("<span class=\"ne\">{text}</span>", {{"text", page.Say(otherwise)}}) : Html::Text(text);
}

Html Hash(const Page& page, const std::string& hex) {
  return hex.empty() ? OrNotStated(page, hex, "not_recorded") : Fill("<code>{hex}</code>", {{"hex", hex}});
}

}  // namespace

Html StatementSection(const Page& page) {
  const StudyStatement& statement = page.input.statement;
  Html terms;
  const std::pair<std::string_view, const LocalText*> texts[] = {
      {"statement.target", &statement.target_definition},
      {"statement.reference", &statement.reference_standard},
      {"statement.blinding", &statement.blinding},
      {"statement.conflicts", &statement.conflicts_of_interest},
      {"statement.limitations", &statement.limitations}};
  for (const auto& [key, text] : texts) {
    terms += Term(page.Say(key), OrNotStated(page, page.Local(*text)));
  }
  terms += Term(page.Say("statement.not_shown"),
                page.Say(page.input.subgroups.empty() ? "statement.not_shown_text" : "statement.not_shown_but_groups"));
  return Section("statement", page.Say("statement.title"), Fill("<dl>{terms}</dl>\n", {{"terms", terms}}));
}

Html PrivacySection(const Page& page) {
  if (!page.input.privacy) {
    return Section("privacy", page.Say("privacy.title"), Fill("<p>{none}</p>\n", {{"none", page.Say("privacy.none")}}));
  }
  const PrivacyStatement& privacy = *page.input.privacy;
  const auto number = [](double value) { return fmt::format("{:.3g}", value); };
  // Never less than it is.
  const auto rounded_up = [](double value) { return fmt::format("{:.2f}", std::ceil(value * 100) / 100); };
  const Html terms =
      Term(page.Say("privacy.unit"), page.Say(privacy.unit == "patient" ? "privacy.patient" : "privacy.site")) +
      Term(page.Say("privacy.epsilon"), Html::Text(rounded_up(privacy.epsilon))) +
      Term(page.Say("privacy.delta"), Html::Text(number(privacy.delta))) +
      Term(page.Say("privacy.planned"), Html::Text(number(privacy.planned_epsilon))) +
      Term(page.Say("privacy.accountant"), Html::Text(privacy.accountant)) +
      Term(page.Say("privacy.noise"), Html::Text(number(privacy.noise_multiplier))) +
      Term(page.Say("privacy.clip"), Html::Text(number(privacy.clip_norm))) +
      Term(page.Say("privacy.trainings"), Html::Text(std::to_string(privacy.trainings)));
  return Section(
      "privacy", page.Say("privacy.title"),
      Fill("<dl>{terms}</dl>\n<p class=\"note\">{note}</p>\n", {{"terms", terms}, {"note", page.Say("privacy.note")}}));
}

Html ProvenanceSection(const Page& page) {
  const Provenance& provenance = page.input.provenance;
  Html terms =
      Term(page.Say("provenance.release"), OrNotStated(page, provenance.release, "not_recorded")) +
      Term(page.Say("provenance.experiment"), OrNotStated(page, provenance.experiment, "not_recorded")) +
      Term(page.Say("provenance.model"), Hash(page, provenance.model_digest)) +
      Term(page.Say("provenance.manifest"), Hash(page, provenance.manifest_digest)) +
      Term(page.Say("provenance.plan"), Hash(page, provenance.plan_digest)) +
      Term(page.Say("provenance.rounds"), Html::Raw(std::to_string(provenance.rounds))) +
      Term(page.Say("provenance.sites"), Html::Raw(std::to_string(provenance.sites))) +
      Term(page.Say("provenance.code"), OrNotStated(page, provenance.code_version, "not_recorded")) +
      Term(page.Say("provenance.generated"), OrNotStated(page, FormatTime(provenance.generated_utc), "not_recorded"));
  Html note = page.Say("provenance.note");
  if (page.input.outside) {  // there is no release behind the numbers
    terms = Term(page.Say("provenance.code"), Html::Text(provenance.code_version));
    note = Html();
  }
  for (const auto& [name, value] : provenance.more) {
    terms += Term(Html::Text(page.Local(name)), Html::Text(value));
  }
  return Section("provenance", page.Say("provenance.title"),
                 Fill("<dl>{terms}</dl>\n<p class=\"note\">{note}</p>\n", {{"terms", terms}, {"note", note}}));
}

Html SignOffSection(const Page& page) {
  if (!page.input.sign_off) {
    Html lines;
    for (std::string_view key : {"sign.name", "sign.role", "sign.date"}) {
      lines += Fill("<div class=\"blank\"><span>{name}</span><i></i></div>\n", {{"name", page.Say(key)}});
    }
    lines += Fill("<div class=\"blank\"><span>{name}</span><em><b></b>{accept}</em><em><b></b>{refuse}</em></div>\n",
                  {{"name", page.Say("sign.decision")},
                   {"accept", page.Say("sign.accept")},
                   {"refuse", page.Say("sign.refuse")}});
    for (std::string_view key : {"sign.comment", "sign.signature"}) {
      lines += Fill("<div class=\"blank wide\"><span>{name}</span><i></i></div>\n", {{"name", page.Say(key)}});
    }
    return Section(
        "sign", page.Say("sign.title"),
        Fill("<p>{ask}</p>\n<div class=\"sign\">{lines}</div>\n", {{"ask", page.Say("sign.ask")}, {"lines", lines}}));
  }
  const SignOff& sign_off = *page.input.sign_off;
  const bool accepted = sign_off.decision == SignOff::Decision::kAccepted;
  Html terms = Term(page.Say("sign.decision"), page.Say(accepted ? "sign.accept" : "sign.refuse")) +
               Term(page.Say("sign.name"), Html::Text(sign_off.name)) +
               Term(page.Say("sign.role"), OrNotStated(page, sign_off.role)) +
               Term(page.Say("sign.date"), OrNotStated(page, FormatTime(sign_off.signed_utc)));
  if (!sign_off.comment.empty()) {
    terms += Term(page.Say("sign.comment"), Html::Text(sign_off.comment));
  }
  return Section("sign", page.Say("sign.title"), Fill("<dl>{terms}</dl>\n", {{"terms", terms}}));
}

}  // namespace cloister::eval
