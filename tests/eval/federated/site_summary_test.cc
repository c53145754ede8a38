// SPDX-License-Identifier: Apache-2.0
// What a site says about itself: exact where it may, nothing where a count could be recomputed, and read strictly.

#include "eval/federated/site_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace cloister::eval {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// `misses` of `positives` score 0.3, the others 0.7; `alarms` of `negatives` score 0.7, the others 0.2; each a patient
// of their own.
Cases Table(uint32_t positives, uint32_t misses, uint32_t negatives, uint32_t alarms) {
  Cases cases;
  for (uint32_t i = 0; i < positives; ++i) {
    cases.push_back({i, true, i < misses ? 0.3 : 0.7 + i * 1e-4});
  }
  for (uint32_t i = 0; i < negatives; ++i) {
    cases.push_back({positives + i, false, i < alarms ? 0.7 : 0.2});
  }
  return cases;
}

std::vector<Gate> Gates() {
  Gate sensitivity;
  sensitivity.metric = "sensitivity";
  sensitivity.bound = 0.5;
  Gate pooled = sensitivity;
  pooled.scope = Gate::Scope::kPooled;
  Gate versus;
  versus.metric = "auc";
  versus.comparison = Gate::Comparison::kNonInferior;
  versus.bound = 0.5;
  return {sensitivity, pooled, versus};
}

SiteSummary Of(const Cases& cases, uint64_t k = 10, bool baseline = true) {
  static const std::vector<Gate> gates = Gates();
  std::vector<double> local;
  for (const Case& one : cases) {
    local.push_back(baseline ? 0.5 * one.score + 0.2 + 0.001 * (one.patient % 7) : 0);
  }
  SummaryInput input;
  input.cases = cases;
  input.threshold = 0.5;
  if (baseline) {
    input.local_only_scores = local;
  }
  input.gates = gates;
  input.bootstrap.replicates = 200;
  return *Summarise(input, *MinimumCell::Create(k));
}

TEST(SiteSummaryTest, SaysEverythingWhereCellsAreLarge) {
  const SiteSummary summary = Of(Table(100, 20, 200, 30));
  EXPECT_EQ(*summary.patients, 300u);
  EXPECT_EQ(*summary.positives, 100u);
  EXPECT_EQ(*summary.negatives, 200u);
  EXPECT_TRUE(summary.auc.ok());
  EXPECT_TRUE(summary.auc_local_only.ok());
  EXPECT_TRUE(summary.auc_difference.ok());
  EXPECT_DOUBLE_EQ(summary.sensitivity->value, 0.8);
  EXPECT_DOUBLE_EQ(summary.specificity->value, 0.85);
  EXPECT_EQ(summary.verdicts, (std::vector<Outcome>{Outcome::kPass, Outcome::kPass}));
}

TEST(SiteSummaryTest, OneSmallClassTakesTheOtherAndAllEstimatesWithIt) {
  const SiteSummary summary = Of(Table(9, 4, 200, 30));
  EXPECT_EQ(*summary.patients, 209u);  // with either count it would give the other
  EXPECT_TRUE(summary.positives.suppressed());
  EXPECT_TRUE(summary.negatives.suppressed());
  EXPECT_TRUE(summary.auc.suppressed());
  EXPECT_TRUE(summary.auc_local_only.suppressed());
  EXPECT_TRUE(summary.auc_difference.suppressed());
  EXPECT_TRUE(summary.sensitivity.suppressed());
  EXPECT_TRUE(summary.specificity.suppressed());
  EXPECT_EQ(summary.verdicts.size(), 2u);  // the site decided on its exact numbers
}

TEST(SiteSummaryTest, AShareGoesWhenEitherOfItsCountsIsSmall) {
  EXPECT_TRUE(Of(Table(100, 9, 200, 30)).sensitivity.suppressed());
  EXPECT_TRUE(Of(Table(100, 0, 200, 30)).sensitivity.suppressed());
  EXPECT_TRUE(Of(Table(100, 91, 200, 30)).sensitivity.suppressed());
  EXPECT_TRUE(Of(Table(100, 10, 200, 30)).sensitivity.ok());
  EXPECT_TRUE(Of(Table(100, 20, 200, 9)).specificity.suppressed());
  EXPECT_TRUE(Of(Table(100, 20, 200, 9)).sensitivity.ok());
}

TEST(SiteSummaryTest, AVerySmallSiteSaysNothingButItsVerdicts) {
  const SiteSummary summary = Of(Table(4, 1, 5, 1));
  EXPECT_TRUE(summary.patients.suppressed());
  EXPECT_TRUE(summary.positives.suppressed());
  EXPECT_TRUE(summary.auc.suppressed());
  EXPECT_EQ(summary.verdicts.size(), 2u);
}

TEST(SiteSummaryTest, OneClassIsSaid) {
  const SiteSummary summary = Of(Table(0, 0, 200, 30));
  EXPECT_EQ(*summary.positives, 0u);
  EXPECT_EQ(summary.auc.reason(), Reason::kOneClass);
  EXPECT_EQ(summary.sensitivity.reason(), Reason::kNoPositives);
  EXPECT_TRUE(summary.specificity.ok());
  EXPECT_TRUE(ParseSummary(SummaryJson(summary)).ok());
}

TEST(SiteSummaryTest, CellsCountPatientsNotCases) {
  Cases cases = Table(100, 0, 200, 30);
  for (int i = 0; i < 12; ++i) {
    cases.push_back({0, true, 0.3});  // twelve misses of one patient
  }
  EXPECT_TRUE(Of(cases).sensitivity.suppressed());
  Cases one_patient;
  for (int i = 0; i < 50; ++i) {
    one_patient.push_back({0, i % 2 == 0, 0.5});
  }
  EXPECT_TRUE(Of(one_patient).patients.suppressed());
}

TEST(SiteSummaryTest, TheMinimumCellCanOnlyBeRaised) {
  EXPECT_FALSE(MinimumCell::Create(9).ok());
  EXPECT_FALSE(MinimumCell::Create(0).ok());
  EXPECT_TRUE(Of(Table(100, 20, 200, 30), 25).sensitivity.suppressed());
  EXPECT_TRUE(Of(Table(100, 20, 200, 30), 25).specificity.ok());
}

// Whoever reads the JSON and knows the rules must be left with at least two possible values of every small count.
TEST(SiteSummaryTest, NoSmallCountCanBeRecomputedFromTheJson) {
  for (uint32_t positives : {0u, 3u, 9u, 10u, 12u, 40u}) {
    for (uint32_t negatives : {0u, 5u, 10u, 31u}) {
      for (uint32_t misses = 0; misses <= positives; misses += 3) {
        const Json json = Json::parse(SummaryJson(Of(Table(positives, misses, negatives, negatives / 3))));
        auto shown = [&](const char* name) { return json[name].is_number() || json[name].contains("value"); };
        const bool small_class = (positives > 0 && positives < 10) || (negatives > 0 && negatives < 10);
        if (small_class) {
          for (const char* name :
               {"positives", "negatives", "auc", "auc_local_only", "auc_difference", "sensitivity", "specificity"}) {
            EXPECT_FALSE(shown(name)) << name << " " << positives << " " << negatives;
          }
        }
        if (misses < 10 || positives - misses < 10) {
          EXPECT_FALSE(shown("sensitivity")) << positives << " " << misses;
        }
        if (positives + negatives < 10) {
          EXPECT_FALSE(shown("patients"));
        }
        EXPECT_TRUE(ParseSummary(json.dump()).ok()) << json.dump();
      }
    }
  }
}

TEST(SiteSummaryTest, RefusesBadInput) {
  SummaryInput input;
  const Cases cases = {{0, true, 2.0}};
  input.cases = cases;
  EXPECT_FALSE(Summarise(input, {}).ok());
  const Cases good = {{0, true, 0.5}};
  const std::vector<double> two = {0.1, 0.2};
  input.cases = good;
  input.local_only_scores = two;
  EXPECT_FALSE(Summarise(input, {}).ok());
}

TEST(SiteSummaryTest, TheCoordinatorDecidesOrTrustsTheSite) {
  const std::vector<Gate> gates = Gates();
  const SiteSummary open = Of(Table(100, 20, 200, 30));
  EXPECT_THAT(DecideForSite(gates[0], 0, open).reason, HasSubstr("lower bound"));
  const SiteSummary closed = Of(Table(100, 5, 200, 30));
  const Verdict verdict = DecideForSite(gates[0], 0, closed);
  EXPECT_EQ(verdict.outcome, Outcome::kPass);
  EXPECT_THAT(verdict.reason, HasSubstr("site's own verdict"));
  SiteSummary silent = closed;
  silent.verdicts.clear();
  EXPECT_EQ(DecideForSite(gates[0], 0, silent).outcome, Outcome::kNotEstimable);
  // One class is no secret: no verdict of the site can turn it into a pass.
  SiteSummary one_class = Of(Table(0, 0, 200, 30));
  one_class.verdicts.assign(2, Outcome::kPass);
  EXPECT_EQ(DecideForSite(gates[0], 0, one_class).outcome, Outcome::kNotEstimable);
}

TEST(SiteSummaryTest, PoolsDifferencesByPairs) {
  SiteSummary a;
  a.patients = 30;
  a.positives = 10;
  a.negatives = 20;
  a.auc_difference = Estimate{0.02, -0.01, 0.05, 0.95, 30, "delong_paired"};
  SiteSummary b = a;
  b.positives = 30;
  b.negatives = 20;
  b.auc_difference = Estimate{-0.01, -0.05, 0.03, 0.95, 50, "delong_paired"};
  const Estimate pooled = *PooledAucDifference({a, b, SiteSummary()});
  EXPECT_NEAR(pooled.value, (200 * 0.02 - 600 * 0.01) / 800, 1e-15);
  EXPECT_NEAR(pooled.value - pooled.lower, std::hypot(200 * 0.03, 600 * 0.04) / 800, 1e-15);
  EXPECT_EQ(pooled.n, 80u);
  EXPECT_EQ(PooledAucDifference({}).reason(), Reason::kNoBaseline);
}

TEST(SummaryJsonTest, RoundTrips) {
  for (const Cases& cases : {Table(100, 20, 200, 30), Table(9, 1, 200, 30), Table(0, 0, 50, 20), Table(2, 1, 3, 1)}) {
    const std::string json = SummaryJson(Of(cases));
    const absl::StatusOr<SiteSummary> read = ParseSummary(json);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(SummaryJson(*read), json);
  }
  EXPECT_THAT(SummaryJson(Of(Table(9, 1, 200, 30))), HasSubstr(R"("positives":{"suppressed":true})"));
  const std::string no_baseline = SummaryJson(Of(Table(100, 20, 200, 30), 10, false));
  EXPECT_THAT(no_baseline, HasSubstr(R"("auc_difference":{"not_estimable":"no_baseline"})"));
}

TEST(SummaryJsonTest, EveryTruncationIsRefused) {
  const std::string json = SummaryJson(Of(Table(100, 20, 200, 30)));
  for (size_t length = 0; length < json.size(); ++length) {
    EXPECT_FALSE(ParseSummary(json.substr(0, length)).ok()) << length;
  }
}

TEST(SummaryJsonTest, RefusesWhatASiteMustNotSay) {
  const Json good = Json::parse(SummaryJson(Of(Table(100, 20, 200, 30))));
  ASSERT_TRUE(ParseSummary(good.dump()).ok());
  auto with = [&](const std::string& pointer, const Json& value) {
    Json changed = good;
    changed[Json::json_pointer(pointer)] = value;
    return ParseSummary(changed.dump()).status();
  };
  const Json suppressed = {{"suppressed", true}};
  const std::vector<std::pair<std::string, Json>> bad = {{"/patient_name", "x"},
                                                         {"/version", 2},
                                                         {"/version", "1"},
                                                         {"/model", "00"},
                                                         {"/model", 7},
                                                         {"/patients", 301},
                                                         {"/patients", -1},
                                                         {"/patients", 3.5},
                                                         {"/patients", "300"},
                                                         {"/patients", nullptr},
                                                         {"/patients", 1e30},
                                                         {"/patients", {{"suppressed", false}}},
                                                         {"/patients", {{"not_estimable", "one_class"}}},
                                                         {"/patients", suppressed},
                                                         {"/positives", suppressed},
                                                         {"/positives", 5},
                                                         {"/positives", {{"other", 1}}},
                                                         {"/auc", 0.9},
                                                         {"/auc", {{"not_estimable", "because"}}},
                                                         {"/auc/value", 1.5},
                                                         {"/auc/value", nullptr},
                                                         {"/auc/lower", 0.99},
                                                         {"/auc/upper", 0.01},
                                                         {"/auc/level", 7},
                                                         {"/auc/n", 301},
                                                         {"/auc/n", -1},
                                                         {"/auc/method", "<script>"},
                                                         {"/auc/method", ""},
                                                         {"/auc/method", std::string(33, 'a')},
                                                         {"/auc/extra", 1},
                                                         {"/auc_difference/value", -1.5},
                                                         {"/threshold", 1.5},
                                                         {"/threshold", "x"},
                                                         {"/sensitivity/value", 0.95},  // five misses
                                                         {"/verdicts", 1},
                                                         {"/verdicts", {"maybe"}},
                                                         {"/verdicts", {1}},
                                                         {"/verdicts", std::vector<std::string>(65, "pass")}};
  for (const auto& [pointer, value] : bad) {
    EXPECT_EQ(with(pointer, value).code(), absl::StatusCode::kInvalidArgument) << pointer << " = " << value;
  }
  for (const auto& [key, value] : good.items()) {
    Json lacking = good;
    lacking.erase(key);
    EXPECT_FALSE(ParseSummary(lacking.dump()).ok()) << key;
  }
}

TEST(SummaryJsonTest, RefusesHostileText) {
  std::string json = SummaryJson(Of(Table(100, 20, 200, 30)));
  std::string repeated = json;
  repeated.insert(1, R"("patients":5,)");
  EXPECT_THAT(ParseSummary(repeated).status().ToString(), HasSubstr("repeated"));
  std::string nested = json;
  nested.replace(nested.find(R"("method":")"), 10, R"("method":"x","method":")");
  EXPECT_THAT(ParseSummary(nested).status().ToString(), HasSubstr("repeated"));
  EXPECT_FALSE(ParseSummary(std::string(10000, '[')).ok());
  EXPECT_FALSE(ParseSummary(json + std::string(20000, ' ')).ok());
  EXPECT_FALSE(ParseSummary(json + "x").ok());
  EXPECT_FALSE(ParseSummary("null").ok());
  EXPECT_FALSE(ParseSummary("\xff\xfe").ok());
  // Every byte changed to something else is read or refused, never a crash.
  for (size_t i = 0; i < json.size(); ++i) {
    for (char other : {'\0', '"', '{', '9', '\xc3'}) {
      std::string changed = json;
      changed[i] = other;
      ParseSummary(changed).status().IgnoreError();
    }
  }
}

}  // namespace
}  // namespace cloister::eval
