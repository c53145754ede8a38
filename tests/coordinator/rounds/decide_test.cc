// SPDX-License-Identifier: Apache-2.0
#include "coordinator/rounds/decide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister::coordinator {
namespace {

constexpr int kBins = 20;

SiteId Site(const char* id) {
  return *SiteId::Parse(id);
}

// Counters of a histogram whose classes overlap in `errors` of 50 cases each.
std::vector<uint64_t> Histogram(uint64_t errors, uint64_t negatives = 50) {
  std::vector<uint64_t> counters(2 * kBins + 2);
  counters[15] = 50 - errors;
  counters[5] = errors;
  counters[kBins + 5] = negatives - (negatives > 0 ? errors : 0);
  counters[kBins + 15] = negatives > 0 ? errors : 0;
  const uint64_t wins = (50 - errors) * counters[kBins + 5];
  const uint64_t ties = (50 - errors) * counters[kBins + 15] + errors * counters[kBins + 5];
  counters[2 * kBins] = 2 * wins + ties;
  counters[2 * kBins + 1] = 50 * negatives;
  return counters;
}

eval::Estimate Number(double value, double margin) {
  return {value, value - margin, value + margin, 0.95, 100, "delong"};
}

plan::Gate AucGate(bool per_site, double at_least) {
  plan::Gate gate;
  gate.metric = "auc";
  gate.per_site = per_site;
  gate.at_least = at_least;
  gate.statistic = "lower_bound";
  return gate;
}

class DecideTest : public testing::Test {
 protected:
  DecideTest() {
    experiment_.evaluation.histogram_bins = kBins;
    experiment_.ensemble.members = 1;
    experiment_.ensemble.operating_point = "youden";
    validation_.models = {{"round-2", false, {}}, {"round-3", false, {}}, {"baseline-a", true, {}}};
    validation_.survivors = {Site("a"), Site("b")};
    Totals({Histogram(5), Histogram(4), Histogram(9), Histogram(4), Histogram(6)});
  }

  // test of round-2, round-3, baseline-a; tuning of round-2, round-3
  void Totals(const std::vector<std::vector<uint64_t>>& histograms) {
    validation_.totals.clear();
    for (const auto& histogram : histograms) {
      validation_.totals.insert(validation_.totals.end(), histogram.begin(), histogram.end());
    }
  }

  void Summary(const char* site, const char* model, double auc, double margin) {
    eval::SiteSummary summary;
    summary.patients = uint64_t{100};
    summary.auc = Number(auc, margin);
    validation_.summaries[Site(site)][model] = summary;
  }

  plan::Experiment experiment_;
  Validation validation_;
};

TEST_F(DecideTest, WithoutGatesTheBestOnTheTuningSplitIsTaken) {
  const auto decision = DecideCandidates(experiment_, validation_);
  ASSERT_TRUE(decision.ok()) << decision.status();
  EXPECT_THAT(decision->members, testing::ElementsAre("round-2"));
  EXPECT_EQ(decision->note, "2 of 2 candidates passed the gates; members: round-2");
  EXPECT_TRUE(decision->gates.empty());
}

TEST_F(DecideTest, EqualCandidatesGoToTheLaterRound) {
  Totals({Histogram(5), Histogram(5), Histogram(9), Histogram(4), Histogram(4)});
  experiment_.ensemble.members = 2;
  const auto decision = DecideCandidates(experiment_, validation_);
  ASSERT_TRUE(decision.ok()) << decision.status();
  EXPECT_THAT(decision->members, testing::ElementsAre("round-3", "round-2"));
}

TEST_F(DecideTest, APooledGateMustPass) {
  experiment_.gates = {AucGate(false, 0.88)};
  Totals({Histogram(9), Histogram(1), Histogram(9), Histogram(1), Histogram(6)});
  const auto decision = DecideCandidates(experiment_, validation_);
  ASSERT_TRUE(decision.ok()) << decision.status();
  EXPECT_THAT(decision->members, testing::ElementsAre("round-3"));
  ASSERT_EQ(decision->gates.size(), 2);
  EXPECT_EQ(decision->gates[0].verdict, "fail");
  EXPECT_EQ(decision->gates[0].scope, "pooled");
  EXPECT_EQ(decision->gates[1].verdict, "pass");
}

TEST_F(DecideTest, OneSiteThatFailsRejectsOneThatCannotJudgeDoesNot) {
  experiment_.gates = {AucGate(true, 0.7)};
  Summary("a", "round-2", 0.9, 0.05);
  Summary("b", "round-2", 0.7, 0.05);
  Summary("a", "round-3", 0.9, 0.05);
  validation_.summaries[Site("b")]["round-3"].auc = eval::Reason::kOneClass;
  const auto decision = DecideCandidates(experiment_, validation_);
  ASSERT_TRUE(decision.ok()) << decision.status();
  EXPECT_THAT(decision->members, testing::ElementsAre("round-3"));
  ASSERT_EQ(decision->gates.size(), 4);
  EXPECT_EQ(decision->gates[1].scope, "b");
  EXPECT_EQ(decision->gates[1].verdict, "fail");
  EXPECT_EQ(decision->gates[3].verdict, "not_estimable");
}

// A site may stuff the pooled histogram, but not the numbers of another site.
TEST_F(DecideTest, APoisonedCandidateThatALiarPraisesFailsWhereItHarms) {
  experiment_.gates = {AucGate(false, 0.7), AucGate(true, 0.7)};
  experiment_.ensemble.members = 2;
  std::vector<uint64_t> stuffed = Histogram(25);  // the truth: no better than chance
  const uint64_t votes = 100'000;
  stuffed[19] += votes;
  stuffed[kBins] += votes;
  stuffed[2 * kBins + 1] = (50 + votes) * (50 + votes);
  stuffed[2 * kBins] = 2 * votes * (50 + votes) + 2 * 50 * votes + 2 * 25 * 25 + 2 * 25 * 25;
  Totals({Histogram(5), stuffed, Histogram(9), Histogram(4), stuffed});
  Summary("a", "round-2", 0.9, 0.05);
  Summary("b", "round-2", 0.9, 0.05);
  Summary("a", "round-3", 0.99, 0.01);
  Summary("b", "round-3", 0.5, 0.05);
  const auto decision = DecideCandidates(experiment_, validation_);
  ASSERT_TRUE(decision.ok()) << decision.status();
  EXPECT_THAT(decision->members, testing::ElementsAre("round-2"));
  for (const plan::GateResult& gate : decision->gates) {
    if (gate.model_id == "round-3") {
      EXPECT_EQ(gate.verdict, gate.scope == "b" ? "fail" : "pass") << gate.scope;
    }
  }
}

TEST_F(DecideTest, NoSiteThatCanJudgeIsNoPass) {
  experiment_.gates = {AucGate(true, 0.7)};
  const auto decision = DecideCandidates(experiment_, validation_);
  ASSERT_TRUE(decision.ok()) << decision.status();
  EXPECT_TRUE(decision->members.empty());
  EXPECT_THAT(decision->note, testing::StartsWith("no candidate passed the gates: not_estimable for round-2 (a): "));
}

TEST_F(DecideTest, SensitivityIsPooledAtTheThresholdOfTheTuningSplit) {
  plan::Gate gate = AucGate(false, 0.85);
  gate.metric = "sensitivity";
  gate.statistic = "estimate";
  experiment_.gates = {gate};
  const auto decision = DecideCandidates(experiment_, validation_);
  ASSERT_TRUE(decision.ok()) << decision.status();
  EXPECT_EQ(decision->members.size(), 1);
  EXPECT_THAT(decision->gates[0].detail, testing::HasSubstr("0.9"));
}

TEST_F(DecideTest, TotalsThatAreNoHistogramsAreRefused) {
  validation_.totals.pop_back();
  EXPECT_EQ(DecideCandidates(experiment_, validation_).status().code(), absl::StatusCode::kInvalidArgument);
  Totals({Histogram(5), Histogram(4), Histogram(9), Histogram(4), std::vector<uint64_t>(2 * kBins + 2, ~uint64_t{0})});
  EXPECT_EQ(DecideCandidates(experiment_, validation_).status().code(), absl::StatusCode::kInvalidArgument);
  Totals({Histogram(5), Histogram(4), Histogram(9), Histogram(4), Histogram(6)});
  experiment_.gates = {AucGate(false, 0.5)};
  experiment_.gates[0].metric = "beauty";
  EXPECT_EQ(DecideCandidates(experiment_, validation_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DecideTest, TheOperatingPointSeparatesTheClasses) {
  const auto point = ChooseOperatingPoint(experiment_, Histogram(5));
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_GT(point->threshold, 6.0 / kBins - 1e-9);
  EXPECT_LT(point->threshold, 15.0 / kBins + 1e-9);
  EXPECT_EQ(point->rule,
            "greatest sensitivity + specificity - 1; on 100 tuning cases: sensitivity 0.90, specificity 0.90");
}

TEST_F(DecideTest, TheTuningHistogramOfOneCandidateIsInTheValidation) {
  const auto counters = [&](const char* member) {
    return TuningCounters(experiment_, validation_.models, validation_.totals, member);
  };
  EXPECT_EQ(*counters("round-2"), Histogram(4));
  EXPECT_EQ(*counters("round-3"), Histogram(6));
  for (const char* none : {"baseline-a", "round-1"}) {
    EXPECT_EQ(counters(none).status().code(), absl::StatusCode::kInvalidArgument) << none;
  }
  validation_.totals.pop_back();
  EXPECT_EQ(counters("round-2").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DecideTest, OneClassHasNoOperatingPoint) {
  const auto point = ChooseOperatingPoint(experiment_, Histogram(0, 0));
  EXPECT_EQ(point.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(point.status().message()), testing::HasSubstr("50 positives and 0 negatives"));
  EXPECT_EQ(ChooseOperatingPoint(experiment_, std::vector<uint64_t>(3)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::coordinator
