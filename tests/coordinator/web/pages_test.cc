// SPDX-License-Identifier: Apache-2.0
#include "coordinator/web/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <nlohmann/json.hpp>
#include <regex>

#include "coordinator/web/parts.h"
#include "protocols/crypto/hash.h"

namespace cloister::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kNowMs = 1780000000000;

PageContext Context(wire::Language language = wire::Language::kEnglish) {
  return {language, absl::FromUnixMillis(kNowMs)};
}

wire::ExperimentStatus Experiment() {
  wire::ExperimentStatus status;
  status.job = *JobId::Parse("chest-1a2b3c4d");
  status.name = "chest";
  status.task = "chest_pneumonia";
  status.phase = wire::ExperimentPhase::kTraining;
  status.round = 3;
  status.rounds = 12;
  status.step = wire::SumPhase::kMask;
  status.sites = {{*SiteId::Parse("site-a"), "answered", std::nullopt, std::nullopt},
                  {*SiteId::Parse("site-b"), "dropped", std::nullopt, wire::FailureReason::kOutOfMemory},
                  {*SiteId::Parse("site-c"), "refused", wire::RefusalReason::kCohortTooSmall, std::nullopt}};
  status.gates = {{"AUC pooled >= 0.75", "round-12", "pooled", "pass", "lower bound 0.81"},
                  {"AUC pooled >= 0.75", "round-11", "pooled", "fail", "lower bound 0.70"},
                  {"AUC at every site >= 0.65", "round-12", "site-a", "not_estimable", "one class"}};
  status.message = "training round 3, MASK: 1 of 2 sites answered";
  status.submitted_unix_ms = kNowMs - 3'600'000;
  return status;
}

std::vector<ModelRecord> Models() {
  std::vector<ModelRecord> models(4);
  for (uint32_t i = 0; i < models.size(); ++i) {
    models[i].id = "round-" + std::to_string(i);
    models[i].round = i;
    models[i].digest = crypto::Sha256(models[i].id);
    models[i].size_bytes = 44'700'000;
    models[i].samples = i == 0 ? 0 : 1234;
    models[i].loss = 0.7 / (i + 1);
    models[i].made_ms = kNowMs;
  }
  return models;
}

std::vector<wire::SiteStatus> Sites() {
  return {
      {*SiteId::Parse("site-a"), kNowMs - 86'400'000, kNowMs - 2'000, "0.1.0", kNowMs + int64_t{200} * 86'400'000},
      {*SiteId::Parse("site-b"), kNowMs - 86'400'000, kNowMs - 7'200'000, "0.1.0", kNowMs + int64_t{5} * 86'400'000}};
}

TEST(PagesTest, TheOverviewShowsWhatRunsAndWhoIsThere) {
  const std::string html = OverviewHtml(Context(), {Experiment()}, Sites(), {});
  EXPECT_THAT(html, HasSubstr("chest-1a2b3c4d"));
  EXPECT_THAT(html, HasSubstr("Round 3 of 12"));
  EXPECT_THAT(html, HasSubstr("1 / 2"));
  EXPECT_THAT(html, HasSubstr("not heard of"));
  EXPECT_THAT(html, HasSubstr("in 5 days"));
  EXPECT_THAT(html, HasSubstr("Nothing has been released yet."));
}

TEST(PagesTest, AnExperimentShowsSitesRoundsGatesAndEvents) {
  const std::string html = ExperimentHtml(Context(), Experiment(), Models(), {{2, kNowMs, "site-b drops out", {}}});
  EXPECT_THAT(html, HasSubstr("OUT_OF_MEMORY"));
  EXPECT_THAT(html, HasSubstr("COHORT_TOO_SMALL"));
  EXPECT_THAT(html, HasSubstr("all sites together"));
  EXPECT_THAT(html, HasSubstr("not estimable"));
  EXPECT_THAT(html, HasSubstr("Training loss by round"));
  EXPECT_THAT(html, HasSubstr("44.7 MB"));
  EXPECT_THAT(html, HasSubstr("site-b drops out"));
}

TEST(PagesTest, WhatComesFromElsewhereIsEscaped) {
  wire::ExperimentStatus status = Experiment();
  status.message = "<script>alert(1)</script>";
  status.gates[0].detail = "\"><img src=x>";
  const std::string html = OverviewHtml(Context(), {status}, {}, {}) + ExperimentHtml(Context(), status, Models(), {});
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(HasSubstr("<img")));
}

TEST(PagesTest, NothingIsLoadedFromElsewhere) {
  const std::string html =
      OverviewHtml(Context(), {Experiment()}, Sites(), {}) + ExperimentHtml(Context(), Experiment(), Models(), {});
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_THAT(html, Not(HasSubstr("src=")));
}

// Every number of the English page stands in the Chinese one.
TEST(PagesTest, BothLanguagesHaveTheSameNumerals) {
  const auto numerals = [](const std::string& html) {
    static const std::regex tags("<[^>]*>|&#[0-9]+;");
    static const std::regex number("[0-9]+(\\.[0-9]+)?");
    const std::string text = std::regex_replace(html, tags, " ");
    std::multiset<std::string> found;
    for (std::sregex_iterator i(text.begin(), text.end(), number), end; i != end; ++i) {
      found.insert(i->str());
    }
    return found;
  };
  {
    const std::string english = OverviewHtml(Context(), {Experiment()}, Sites(), {});
    const std::string chinese = OverviewHtml(Context(wire::Language::kChinese), {Experiment()}, Sites(), {});
    EXPECT_EQ(numerals(english), numerals(chinese));
    EXPECT_THAT(chinese, HasSubstr("医院"));
  }
  const auto english = numerals(ExperimentHtml(Context(), Experiment(), Models(), {}));
  const auto chinese = numerals(ExperimentHtml(Context(wire::Language::kChinese), Experiment(), Models(), {}));
  std::vector<std::string> only_in_one;
  std::set_symmetric_difference(english.begin(), english.end(), chinese.begin(), chinese.end(),
                                std::back_inserter(only_in_one));
  EXPECT_THAT(only_in_one, IsEmpty());
}

TEST(PagesTest, TheJsonSaysTheSame) {
  const auto json = nlohmann::json::parse(StatusJson({Experiment()}, Sites(), {}));
  EXPECT_EQ(json["experiments"][0]["phase"], "TRAINING");
  EXPECT_EQ(json["experiments"][0]["steps_done"], 3);
  EXPECT_EQ(json["experiments"][0]["steps"], 15);
  EXPECT_EQ(json["sites"].size(), 2);
}

TEST(PagesTest, SizesAndTimesAreForPeople) {
  EXPECT_EQ(Size(999), "999 B");
  EXPECT_EQ(Size(44'700'000), "44.7 MB");
  EXPECT_EQ(Ago(Context(), kNowMs - 1000), "now");
  EXPECT_EQ(Ago(Context(), kNowMs - 600'000), "10 min ago");
  EXPECT_EQ(Ago(Context(wire::Language::kChinese), kNowMs + int64_t{3} * 86'400'000), "3 天后");
}

}  // namespace
}  // namespace cloister::coordinator
