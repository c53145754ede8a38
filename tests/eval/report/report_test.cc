// SPDX-License-Identifier: Apache-2.0
// The page and the JSON: what they say, in both languages, for ordinary, tiny, one-class and hostile inputs.

#include "eval/report/report.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "eval/report/catalogue.h"
#include "eval/report/html.h"
#include "eval/report/numerals.h"
#include "eval/report/page.h"
#include "protocols/base/file.h"
#include "tests/eval/report/fake_report.h"
#include "tests/support/temp_dir.h"

namespace cloister::eval {
namespace {

using testing::FakeOptions;
using testing::FakeReport;
using Json = nlohmann::json;

std::string HtmlOf(const ReportInput& input) {
  return MakeReport(input)->html;
}

// Not a matcher: a failure must not print a page of 100 kB.
bool Has(const std::string& page, const std::string& text) {
  return page.find(text) != std::string::npos;
}

// One language's part of the page.
std::string Article(const std::string& html, const std::string& lang) {
  const size_t begin = html.find("<article class=\"" + lang + "\"");
  return html.substr(begin, html.find("</article>", begin) - begin);
}

// data-part -> what a reader sees of it.
std::map<std::string, std::string> Parts(const std::string& article) {
  std::map<std::string, std::string> parts;
  const std::regex tag("<[^>]*>");
  for (size_t at = article.find("data-part=\""); at != std::string::npos;) {
    const size_t name = at + 11;
    const size_t next = article.find("data-part=\"", name);
    const std::string part = article.substr(name, article.find('"', name) - name);
    std::string text = article.substr(article.find('>', at) + 1, next == std::string::npos ? next : next - at);
    parts[part] = std::regex_replace(text.substr(0, text.rfind('<')), tag, " ");
    at = next;
  }
  return parts;
}

std::vector<std::string> Numerals(const std::string& text) {
  const std::regex numeral("(\\+|\u2212)?[0-9]+([.,:][0-9]+)*%?");
  std::vector<std::string> found(std::sregex_token_iterator(text.begin(), text.end(), numeral), {});
  std::sort(found.begin(), found.end());
  return found;
}

ReportInput OneClass() {
  FakeOptions options;
  options.positives = 0;
  return FakeReport(options);
}

ReportInput Tiny() {
  FakeOptions options;
  options.positives = 1;
  options.negatives = 2;
  return FakeReport(options);
}

ReportInput Empty() {
  FakeOptions options;
  options.positives = 0;
  options.negatives = 0;
  options.others = 0;
  return FakeReport(options);
}

std::vector<ReportInput> AllKinds() {
  std::vector<ReportInput> kinds = {FakeReport(), OneClass(), Tiny(), Empty()};
  FakeOptions large;
  large.positives = 400;
  large.negatives = 900;
  large.local_only = false;
  kinds.push_back(FakeReport(large));
  kinds.back().prevalence.reset();
  kinds.back().studies_per_day.reset();
  kinds.back().sign_off =
      SignOff{SignOff::Decision::kAccepted, "Dr. Wang", "Radiologist", "2026-03-02T10:00:00Z", "ok"};
  return kinds;
}

TEST(ReportTest, BothLanguagesShowIdenticalNumerals) {
  for (const ReportInput& input : AllKinds()) {
    const std::string html = HtmlOf(input);
    const auto zh = Parts(Article(html, "zh"));
    const auto en = Parts(Article(html, "en"));
    ASSERT_EQ(zh.size(), 13u);
    ASSERT_EQ(en.size(), 13u);
    for (const auto& [part, text] : zh) {
      EXPECT_EQ(Numerals(text), Numerals(en.at(part))) << part;
    }
  }
}

// Predictions of somebody's model: a sex, a camera on which it fails, six hospitals, another model.
ReportInput Outside() {
  ReportInput input = FakeReport();
  input.outside = true;
  input.gates.clear();
  input.others.clear();
  input.compared_with = {"radiologist <b>", ""};
  SubgroupColumn sex{"sex", {}};
  SubgroupColumn camera{"camera", {}};
  for (size_t i = 0; i < input.cases.size(); ++i) {
    sex.of_case.push_back(i % 2 == 0 ? "F" : "M");
    camera.of_case.push_back(i % 3 == 0 ? "<old>" : "new");
    input.site_of_case.push_back("h" + std::to_string(i % 6));
    if (i % 3 == 0) {
      input.cases[i].prediction.score = 0.4 + 0.001 * static_cast<double>(i % 30);
    }
  }
  input.subgroups = {sex, camera};
  return input;
}

TEST(ReportTest, PredictionsOfOthersHaveGroupsAndSitesAndNothingToSign) {
  const std::string html = HtmlOf(Outside());
  const auto zh = Parts(Article(html, "zh"));
  const auto en = Parts(Article(html, "en"));
  ASSERT_EQ(en.size(), 10u);
  ASSERT_EQ(zh.size(), 10u);
  for (const auto& [part, text] : zh) {
    EXPECT_EQ(Numerals(text), Numerals(en.at(part))) << part;
  }
  EXPECT_FALSE(Has(html, "[["));
  EXPECT_FALSE(Has(html, "<old>") || Has(html, "radiologist <b>"));
  EXPECT_EQ(en.count("gates") + en.count("sign") + en.count("sites"), 0u);
  EXPECT_TRUE(Has(en.at("subgroups"), "differs from the rest"));
  EXPECT_FALSE(Has(en.at("answer"), "our hospital"));
  EXPECT_TRUE(Has(en.at("compare"), "radiologist"));
  const Json json = Json::parse(MakeReport(Outside())->json);
  EXPECT_EQ(json["subgroups"].size(), 4u);
  EXPECT_EQ(json["over_sites"]["sensitivity"]["pooled"]["method"], "reml_hartung_knapp");
  ReportInput wrong = Outside();
  wrong.subgroups[0].of_case.pop_back();
  EXPECT_EQ(MakeReport(wrong).status().code(), absl::StatusCode::kInvalidArgument);
  wrong = Outside();
  wrong.site_of_case.pop_back();
  EXPECT_EQ(MakeReport(wrong).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReportTest, MeasuresOfOtherTasksReadInBothLanguages) {
  ReportInput input;
  input.outside = true;
  input.task = "ordinal";
  input.task_title = {"Retinopathy grades", "视网膜病变分级"};
  input.measured_cases = 120;
  input.measured_patients = 60;
  input.measure_tables = {{"overall",
                           {"Over all classes", "全部类别"},
                           {{"kappa_quadratic", Estimate{0.812, 0.75, 0.86, 0.95, 60, "kappa_normal"}},
                            {"within_12", Estimate{0.9, 0.85, 0.94, 0.95, 60, "wilson"}},
                            {"sensitivity_at_0.125", Reason::kNoPositives}}}};
  input.categories = {"0", "<1>"};
  input.category_counts = {{50, 10}, {5, 55}};
  input.worst_cases = {{"b", 0.9}, {"a", 0.1}};
  const std::string html = HtmlOf(input);
  const auto zh = Parts(Article(html, "zh"));
  const auto en = Parts(Article(html, "en"));
  for (const auto& [part, text] : zh) {
    EXPECT_EQ(Numerals(text), Numerals(en.at(part))) << part;
  }
  EXPECT_FALSE(Has(html, "[[") || Has(html, "<1>"));
  EXPECT_TRUE(Has(en.at("measures"), "At most 12 apart"));
  EXPECT_LT(en.at("measures").find("0.10"), en.at("measures").find("0.90"));
  const Json json = Json::parse(MakeReport(input)->json);
  EXPECT_EQ(json["measures"]["overall"]["kappa_quadratic"]["value"], 0.812);
  EXPECT_EQ(json["measures"]["overall"]["sensitivity_at_0.125"]["not_estimable"], "no_positives");
}

TEST(ReportTest, NothingIsMissingFromTheCatalogue) {
  for (const ReportInput& input : AllKinds()) {
    EXPECT_FALSE(Has(HtmlOf(input), "[["));
  }
  const std::regex placeholder("\\{[a-z]*\\}");
  std::set<std::string_view> keys;
  for (const CatalogueEntry& entry : Catalogue()) {
    EXPECT_TRUE(keys.insert(entry.key).second) << entry.key;
    EXPECT_FALSE(entry.en.empty() || entry.zh.empty()) << entry.key;
    auto places = [&](std::string_view text) {
      const std::string copy(text);
      return std::multiset<std::string>(std::sregex_token_iterator(copy.begin(), copy.end(), placeholder), {});
    };
    EXPECT_EQ(places(entry.en), places(entry.zh)) << entry.key;
    for (std::string_view text : {entry.en, entry.zh}) {
      EXPECT_EQ(text.find_first_of("<>&\""), std::string_view::npos)
          << entry.key;  // they are put into markup as they are
    }
  }
}

TEST(ReportTest, LeadsWithWordsNeverWithAuc) {
  const std::string article = Article(HtmlOf(FakeReport()), "en");
  EXPECT_LT(article.find("In our hospital, of 100 patients with pneumonia it misses"), article.find("AUC"));
  EXPECT_TRUE(Has(article, "At our prevalence of <b>12%</b>, about <b>"));
}

TEST(ReportTest, TheSentenceSaysWhatTheTableSays) {
  ReportInput input = FakeReport();
  // 100 with the condition of whom 7 are missed, 100 without of whom 9 alarm.
  input.cases.clear();
  for (uint32_t i = 0; i < 200; ++i) {
    const bool called = i < 100 ? i >= 7 : i < 109;
    input.cases.push_back({"c" + std::to_string(i), {i, i < 100, called ? 0.9 : 0.1}, std::nullopt});
  }
  input.prevalence = 0.03;
  const std::string html = HtmlOf(input);
  // Wilson: 7/100 3.4% to 13.7%, 9/100 4.8% to 16.2%, ends rounded outwards; PPV .03 * .93 / (.03 * .93 + .97 * .09) =
  // 0.242.
  EXPECT_TRUE(Has(html, "it misses <b>7</b> (95% CI 3 to 14)"));
  EXPECT_TRUE(Has(html, "it alarms on <b>9</b> (4 to 17)"));
  EXPECT_TRUE(Has(html, "At our prevalence of <b>3%</b>, about 1 alarm in <b>4</b> is real"));
  EXPECT_TRUE(Has(html, "模型漏诊 <b>7</b> 名（95% 置信区间 3 至 14）"));
  EXPECT_TRUE(Has(html, "约每 <b>4</b> 次报警中有 1 次属实"));
}

TEST(ReportTest, OneClassIsNotEstimableNeverAHalf) {
  const Report report = *MakeReport(OneClass());
  EXPECT_TRUE(Has(report.html, "No patient with pneumonia was tested here"));
  EXPECT_TRUE(Has(report.html, "not estimable: one class only"));
  const Json json = Json::parse(report.json);
  EXPECT_EQ(json["metrics"]["auc"], Json({{"not_estimable", "one_class"}}));
  EXPECT_EQ(json["metrics"]["sensitivity"], Json({{"not_estimable", "no_positives"}}));
}

TEST(ReportTest, NoThreeDecimalsBelowAThousandPatients) {
  ReportInput input = FakeReport();
  input.threshold = 0.42;
  for (const auto& [part, text] : Parts(Article(HtmlOf(input), "en"))) {
    if (part != "provenance") {
      EXPECT_FALSE(std::regex_search(text, std::regex("[0-9]\\.[0-9]{3}"))) << part;
    }
  }
}

TEST(ReportTest, FewPatientsAreGreyed) {
  EXPECT_TRUE(Has(Article(HtmlOf(Tiny()), "en"), "class=\"few\" title=\"Fewer than 30 patients\""));
  EXPECT_TRUE(Has(Article(HtmlOf(Tiny()), "en"), "Patients with pneumonia tested here: only 1."));
  FakeOptions many;
  many.others = 0;
  EXPECT_FALSE(Has(Article(HtmlOf(FakeReport(many)), "en"), "class=\"few\""));
}

TEST(ReportTest, OthersArePseudonymousAndSuppressed) {
  const std::string en = Article(HtmlOf(FakeReport()), "en");
  EXPECT_TRUE(Has(en, "Site A"));
  EXPECT_TRUE(Has(en, "not shared"));
}

TEST(ReportTest, ListsWhatItGotWrongMostTellingFirst) {
  const ReportInput input = FakeReport();
  const Json json = Json::parse(MakeReport(input)->json);
  ASSERT_FALSE(json["misses"].empty());
  for (size_t i = 1; i < json["misses"].size(); ++i) {
    EXPECT_LE(json["misses"][i - 1]["score"], json["misses"][i]["score"]);
    EXPECT_LT(json["misses"][i]["score"], input.threshold);
  }
  for (size_t i = 1; i < json["false_alarms"].size(); ++i) {
    EXPECT_GE(json["false_alarms"][i - 1]["score"], json["false_alarms"][i]["score"]);
  }
  EXPECT_TRUE(
      Has(HtmlOf(input), "https://pacs.example/viewer?accession=" + json["misses"][0]["case"].get<std::string>()));
}

TEST(ReportTest, SaysWhatThePrivacyOfItsTrainingIsOrThatThereIsNone) {
  ReportInput input = FakeReport();
  const auto privacy = [&](const char* language) {
    const std::string article = Article(HtmlOf(input), language);
    const size_t begin = article.find("data-part=\"privacy\"");
    return article.substr(begin, article.find("</section>", begin) - begin);
  };
  EXPECT_TRUE(Has(privacy("en"), "No differential privacy"));
  EXPECT_TRUE(Has(privacy("zh"), "未使用差分隐私"));
  EXPECT_TRUE(Json::parse(MakeReport(input)->json)["differential_privacy"].is_null());

  input.privacy = PrivacyStatement{"patient", 3.3512, 1e-5, 8, "PLD", 1.1, 0.5, 12};
  for (const char* language : {"en", "zh"}) {
    const std::string text = privacy(language);
    for (const char* fact : {"<dd>3.36</dd>", "<dd>1e-05</dd>", "<dd>8</dd>", "<dd>PLD</dd>", "<dd>1.1</dd>",
                             "<dd>0.5</dd>", "<dd>12</dd>"}) {
      EXPECT_TRUE(Has(text, fact)) << language << " " << fact;
    }
  }
  EXPECT_TRUE(Has(privacy("en"), "<dd>patient</dd>"));
  EXPECT_TRUE(Has(privacy("zh"), "<dd>患者</dd>"));
  input.privacy->unit = "site";
  EXPECT_TRUE(Has(privacy("en"), "<dd>hospital</dd>"));
  const Json json = Json::parse(MakeReport(input)->json)["differential_privacy"];
  EXPECT_EQ(json["epsilon"], 3.3512);
  EXPECT_EQ(json["delta"], 1e-5);
  EXPECT_EQ(json["accountant"], "PLD");
}

TEST(ReportTest, HostileTextStaysText) {
  ReportInput input = FakeReport();
  const std::string hostile = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\" {case} {n}\x01\xff";
  input.site_name = hostile;
  input.task_title = {hostile, hostile};
  input.condition = {hostile, hostile};
  input.threshold_rule = hostile;
  input.flow.rejected[0].first = {hostile, hostile};
  input.others[0].pseudonym = hostile;
  input.provenance.release = hostile;
  input.provenance.model_digest = hostile;
  input.provenance.more = {{{hostile, hostile}, hostile}};
  input.statement.limitations = {hostile, hostile};
  input.privacy = PrivacyStatement{hostile, 1, 1e-5, 2, hostile, 1, 1, 3};
  input.sign_off = SignOff{SignOff::Decision::kRefused, hostile, hostile, hostile, hostile};
  input.gates[0].gate.metric = hostile;
  input.gates[1].verdict = {Outcome::kFail, hostile, Reason::kNotMeasured};
  for (ReportCase& one : input.cases) {
    one.id = hostile;
  }
  const Report report = *MakeReport(input);
  EXPECT_FALSE(Has(report.html, "<script>alert"));
  EXPECT_FALSE(Has(report.html, "<img"));
  EXPECT_FALSE(Has(report.html, "\x01"));
  EXPECT_TRUE(Has(report.html, "accession=%3C%2Fscript%3E"));
  EXPECT_TRUE(Json::accept(report.json));
  // Placeholders in what came from outside are not filled.
  EXPECT_TRUE(Has(report.html, "{case} {n}"));
}

TEST(ReportTest, RefusesBadInput) {
  auto refused = [](const std::function<void(ReportInput&)>& change) {
    ReportInput input = FakeReport();
    change(input);
    return MakeReport(input).status().code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](ReportInput& input) { input.cases[3].prediction.score = 1.2; }));
  EXPECT_TRUE(refused([](ReportInput& input) { input.cases[3].local_only_score = std::nan(""); }));
  EXPECT_TRUE(refused([](ReportInput& input) { input.cases[3].local_only_score.reset(); }));
  EXPECT_TRUE(refused([](ReportInput& input) { input.threshold = -0.1; }));
  EXPECT_TRUE(refused([](ReportInput& input) { input.prevalence = 12; }));
  EXPECT_TRUE(refused([](ReportInput& input) { input.studies_per_day = 0; }));
  EXPECT_TRUE(refused([](ReportInput& input) { input.viewer_link = "javascript:alert('{case}')"; }));
  EXPECT_TRUE(refused([](ReportInput& input) { input.viewer_link = "https://pacs.example/"; }));
  EXPECT_TRUE(refused([](ReportInput& input) { input.language = "fr"; }));
  EXPECT_TRUE(refused([](ReportInput& input) { input.bootstrap.replicates = 0; }));
  EXPECT_FALSE(refused([](ReportInput&) {}));
}

TEST(ReportTest, SeveralStudiesOfAPatientAreCalledStudies) {
  ReportInput input = FakeReport();
  for (ReportCase& one : input.cases) {
    one.prediction.patient /= 3;
  }
  const std::string html = HtmlOf(input);
  EXPECT_TRUE(Has(html, "of 100 studies of patients with pneumonia it misses"));
  EXPECT_TRUE(Has(html, "100 patients: 30 with pneumonia, 70 without."));
  EXPECT_TRUE(Has(html, "bootstrap, percentile"));
}

TEST(ReportTest, AFlowThatDoesNotAddUpIsSaid) {
  ReportInput input = FakeReport();
  EXPECT_FALSE(Has(HtmlOf(input), "unaccounted for"));
  input.flow.eligible += 3;
  EXPECT_TRUE(Has(HtmlOf(input), "unaccounted for"));
}

TEST(ReportTest, SameInputSameBytes) {
  const ReportInput input = FakeReport();
  EXPECT_EQ(MakeReport(input)->html, MakeReport(input)->html);
  EXPECT_EQ(MakeReport(input)->json, MakeReport(input)->json);
}

TEST(ReportTest, AsksNothingOfAnyNetwork) {
  ReportInput input = FakeReport();
  input.viewer_link.clear();
  const std::string html = HtmlOf(input);
  for (const char* outside :
       {"http://", "https://", "src=", "@import", "url(", "fetch(", "XMLHttpRequest", " style=\""}) {
    EXPECT_FALSE(Has(html, outside)) << outside;
  }
  EXPECT_TRUE(Has(html, "default-src 'none'"));
}

std::string Sha256Base64(std::string_view text) {
  unsigned char digest[32];
  EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_sha256(), nullptr);
  unsigned char base64[64];
  const int length = EVP_EncodeBlock(base64, digest, sizeof digest);
  return std::string(reinterpret_cast<char*>(base64), static_cast<size_t>(length));
}

// A browser refuses a style or script that differs from its hash: after a change, copy the new hash from this test's
// message.
TEST(ReportTest, TheContentSecurityPolicyNamesTheseVeryAssets) {
  EXPECT_EQ(Sha256Base64(PageStyle()), PageStyleHash());
  EXPECT_EQ(Sha256Base64(PageScript()), PageScriptHash());
}

TEST(NumeralsTest, DigitsFollowTheNumberOfPatients) {
  EXPECT_EQ(FormatPoint(0.93456, NumberStyle::kPercent, 999), "93%");
  EXPECT_EQ(FormatPoint(0.93456, NumberStyle::kPercent, 1000), "93.5%");
  EXPECT_EQ(FormatPoint(0.93456, NumberStyle::kPlain, 999), "0.93");
  EXPECT_EQ(FormatPoint(0.93456, NumberStyle::kPlain, 1000), "0.935");
  EXPECT_EQ(FormatLower(0.939, NumberStyle::kPercent, 50), "93%");
  EXPECT_EQ(FormatUpper(0.931, NumberStyle::kPercent, 50), "94%");
  EXPECT_EQ(FormatLower(0.29, NumberStyle::kPercent, 50), "29%");  // 0.29 * 100 is below 29 in binary
  EXPECT_EQ(FormatUpper(0.57, NumberStyle::kPer100, 50), "57");
  EXPECT_EQ(FormatLower(-0.0149, NumberStyle::kPlain, 50), "−0.02");
  EXPECT_EQ(FormatPoint(-0.001, NumberStyle::kPlain, 50), "0.00");
  EXPECT_EQ(WithSign("0.03"), "+0.03");
  EXPECT_EQ(WithSign("−0.03"), "−0.03");
  EXPECT_EQ(WithSign("0.00"), "0.00");
}

TEST(NumeralsTest, ABoundShowsOnWhichSideOfTheRuleItIs) {
  EXPECT_EQ(FormatBeside(0.8499, 0.85, false, NumberStyle::kPercent, 50), "84%");
  EXPECT_EQ(FormatBeside(0.8501, 0.85, false, NumberStyle::kPercent, 50), "85%");
  EXPECT_EQ(FormatBeside(0.8562, 0.855, false, NumberStyle::kPercent, 50), "85.6%");
  EXPECT_EQ(FormatBeside(-0.0149, -0.015, true, NumberStyle::kPlain, 50), "−0.0149");
}

TEST(NumeralsTest, RulesAreWrittenExactly) {
  EXPECT_EQ(FormatExact(0.7, NumberStyle::kPlain), "0.70");
  EXPECT_EQ(FormatExact(0.415, NumberStyle::kPlain), "0.415");
  EXPECT_EQ(FormatExact(0.7, NumberStyle::kPercent), "70%");
  EXPECT_EQ(FormatExact(0.875, NumberStyle::kPercent), "87.5%");
  EXPECT_EQ(FormatExact(1, NumberStyle::kPercent), "100%");
  EXPECT_EQ(FormatExact(0, NumberStyle::kPlain), "0.00");
  EXPECT_EQ(FormatDaily(0.64), "0.6");
  EXPECT_EQ(FormatDaily(12.4), "12");
}

TEST(HtmlTest, EscapesAndFills) {
  EXPECT_EQ(Html::Text("<a href=\"x\">&'").str(), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  EXPECT_EQ(Fill("<b>{a}</b>{missing}", {{"a", "{b}<"}}).str(), "<b>{b}&lt;</b>[[missing]]");
  EXPECT_EQ(PercentEncode("a b/\xe8\x82\xba&"), "a%20b%2F%E8%82%BA%26");
}

// Set CLOISTER_LOOK_AT to a folder to open the pages in a browser.
TEST(ReportTest, WritesFiles) {
  cloister::testing::TempDir folder;
  const char* look = std::getenv("CLOISTER_LOOK_AT");
  const std::filesystem::path to = look != nullptr ? std::filesystem::path(look) : folder.path();
  const char* names[] = {"ordinary", "one_class", "tiny", "empty", "large"};
  const std::vector<ReportInput> kinds = AllKinds();
  for (size_t i = 0; i < kinds.size(); ++i) {
    const Report report = *MakeReport(kinds[i]);
    EXPECT_LT(report.html.size(), 600'000u);
    ASSERT_TRUE(WriteFileAtomically(to / (std::string(names[i]) + ".html"), report.html).ok());
    ASSERT_TRUE(WriteFileAtomically(to / (std::string(names[i]) + ".json"), report.json).ok());
  }
}

}  // namespace
}  // namespace cloister::eval
