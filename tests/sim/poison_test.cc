// SPDX-License-Identifier: Apache-2.0
// Whole experiments with a site that wants to do harm: the rounds finish, something stops the harm, and what people are
// told says what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/sim_world.h"

namespace cloister::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

testing::TestConsortium& Consortium() {
  static testing::TestConsortium consortium;
  return consortium;
}

WorldOptions FiveThatLearn() {
  WorldOptions options;
  options.sites = 5;
  options.learns = true;
  options.plan.rounds = 4;
  options.plan.least_auc = 0.75;
  return options;
}

std::vector<std::string> ModelIds(const World& world) {
  std::vector<std::string> ids;
  for (const coordinator::ModelRecord& model : world.job().models()) {
    ids.push_back(model.id);
  }
  return ids;
}

// The verdict of the pooled gate about a model, or "".
std::string PooledVerdict(const World& world, const std::string& model) {
  for (const wire::GateStatus& gate : world.job().Status().gates) {
    if (gate.model_id == model && gate.scope == "pooled") {
      return gate.verdict;
    }
  }
  return "";
}

TEST(PoisonTest, HonestSitesKeepToEveryGuard) {
  WorldOptions options = FiveThatLearn();
  options.plan.guards = "max_update_norm: 5, max_norm_growth: 3, min_cosine: -0.5";
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_EQ(world.job().models().size(), 5u);
  EXPECT_THAT(world.Notes(), Not(HasSubstr("refused")));
}

// One of five cannot be seen in the sum, and is outweighed.
TEST(PoisonTest, ALabelFlippedSiteIsOutweighed) {
  WorldOptions options = FiveThatLearn();
  options.conducts[2].misdeed = Misdeed::kFlippedLabels;
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_EQ(world.job().models().back().sites.size(), 5u);
  EXPECT_EQ(PooledVerdict(world, "round-4"), "pass");
}

TEST(PoisonTest, LabelFlippedSitesThatAreTooManyDoNotGetPastTheGate) {
  WorldOptions options = FiveThatLearn();
  for (const int site : {3, 4, 5}) {
    options.conducts[site].misdeed = Misdeed::kFlippedLabels;
  }
  World world(Consortium(), options);
  world.Run();
  EXPECT_EQ(world.phase(), wire::ExperimentPhase::kFailed);
  EXPECT_EQ(world.job().models().size(), 5u) << "every round finished";
  EXPECT_EQ(PooledVerdict(world, "round-4"), "fail");
  EXPECT_THAT(world.job().machine().Message(), HasSubstr("no candidate passed the gates: fail for round-"));
}

TEST(PoisonTest, AScaledUpdateBreaksAGuardAndTheModelStays) {
  for (const char* guards : {"max_update_norm: 1.5", "max_norm_growth: 2", "min_cosine: 0"}) {
    SCOPED_TRACE(guards);
    const std::string guard = std::string(guards).substr(0, std::string(guards).find(':'));
    WorldOptions options = FiveThatLearn();
    options.plan.guards = guards;
    options.conducts[5] = {true, Misdeed::kScaled, 3, 3};
    World world(Consortium(), options);
    world.Run();
    ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
    EXPECT_THAT(ModelIds(world), ::testing::ElementsAre("round-0", "round-1", "round-2", "round-4"));
    EXPECT_EQ(world.job().models().back().parent, world.job().models()[2].digest);
    EXPECT_EQ(world.job().models().back().sites.size(), 5u) << "every site agrees that round 3 was rightly refused";
    EXPECT_THAT(world.Notes(),
                HasSubstr("training round 3 is refused by a guard of the plan, " + guard + ": the update's"));
    EXPECT_EQ(PooledVerdict(world, "round-4"), "pass");
  }
}

TEST(PoisonTest, TheGuardsSurviveRestartsAndSitesThatComeAndGo) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(seed);
    WorldOptions options = FiveThatLearn();
    options.seed = seed;
    options.plan.guards = "max_norm_growth: 2, min_cosine: 0";
    options.conducts[5] = {true, Misdeed::kScaled, 2, 3};
    options.away_sites[1] = {1, wire::SumPhase::kMask};
    options.away_sites[2] = {3, wire::SumPhase::kShare};
    options.site_restarts = 0.2;
    options.reply_lost = 0.2;
    options.coordinator_restarts = 0.1;
    World world(Consortium(), options);
    world.Run();
    ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
    EXPECT_THAT(ModelIds(world), ::testing::ElementsAre("round-0", "round-1", "round-4"));
    // Who was away in round 1 follows; who was away when the last round began is not in it.
    EXPECT_THAT(world.job().models().back().sites, ::testing::Contains(*SiteId::Parse("site-01")));
    EXPECT_EQ(world.job().models().back().sites.size(), 4u);
  }
}

TEST(PoisonTest, TooManyRefusedRoundsEndTheExperimentWithTheGuardAndTheNumbers) {
  WorldOptions options = FiveThatLearn();
  options.plan.rounds = 9;
  options.plan.max_skipped = 2;
  options.plan.guards = "max_update_norm: 1.5";
  options.conducts[5] = {true, Misdeed::kScaled, 3};
  World world(Consortium(), options);
  world.Run();
  EXPECT_EQ(world.phase(), wire::ExperimentPhase::kFailed);
  EXPECT_THAT(world.job().machine().Message(),
              ::testing::MatchesRegex("training round 4 is refused by a guard of the plan, max_update_norm: the "
                                      "update's norm is [0-9.]+, allowed 1.5; 2 rounds in a row gave no model"));
  EXPECT_EQ(world.job().models().size(), 3u);
}

// Without guards a poisoned last round is a candidate, and the gate keeps it out of the ensemble.
TEST(PoisonTest, TheEnsembleFallsBackToEarlierCandidates) {
  WorldOptions options = FiveThatLearn();
  options.plan.candidates = 3;
  options.conducts[5] = {true, Misdeed::kScaled, 4};
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_EQ(PooledVerdict(world, "round-4"), "fail");
  EXPECT_THAT(world.job().machine().members(), ::testing::UnorderedElementsAre("round-2", "round-3"));
}

TEST(PoisonTest, ASiteWithoutFiniteNumbersDropsOutAndIsNamed) {
  WorldOptions options = FiveThatLearn();
  options.conducts[4] = {true, Misdeed::kNotFinite, 1};
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_EQ(world.job().models().size(), 5u);
  for (size_t i = 1; i < world.job().models().size(); ++i) {
    EXPECT_EQ(world.job().models()[i].sites.size(), 4u);
  }
  EXPECT_THAT(world.Notes(), HasSubstr("training round 4: site-04 drops out: NOT_FINITE"));
}

TEST(PoisonTest, ARoundWithAVectorThatDoesNotHaveItsTagIsTakenBack) {
  WorldOptions options = FiveThatLearn();
  options.conducts[5] = {true, Misdeed::kOtherVector, 2, 2};
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_THAT(ModelIds(world), ::testing::ElementsAre("round-0", "round-1", "round-3", "round-4"));
  EXPECT_THAT(world.Notes(), HasSubstr("training round 2: its totals do not have the sites' tags, say site-0"));
  EXPECT_THAT(world.Notes(), HasSubstr("training round 3, attempt 2 starts"));
  // The initial model, three rounds with their totals, five baselines; and the evidence: the model that was taken back,
  // its totals, and two masked vectors of each of five sites.
  EXPECT_EQ(world.BlobCount(), 1 + 3 + 3 + 5 + 2 + 10u);
}

// Whoever has the evidence can tell a lying site from a lying coordinator.
TEST(PoisonTest, ARecountClearsTheCoordinatorOrConvictsIt) {
  WorldOptions options = FiveThatLearn();
  options.conducts[5] = {true, Misdeed::kOtherVector, 2, 2};
  options.lost_sites[1] = {2, wire::SumPhase::kConsistency};
  World world(Consortium(), options);
  world.Run();
  ASSERT_THAT(world.Notes(), HasSubstr("the round is taken back"));
  const auto honest = world.Recount(2);
  ASSERT_TRUE(honest.ok()) << honest.status();
  EXPECT_THAT(*honest, HasSubstr("the 10 vectors that 5 sites committed to give totals"));
  EXPECT_THAT(*honest, HasSubstr("as published: if their tag does not fit, a site committed to a wrong one"));

  EXPECT_TRUE(absl::IsNotFound(world.Recount(1).status())) << "nobody found fault with it: its vectors are gone";
  EXPECT_TRUE(absl::IsNotFound(world.Recount(7).status()));

  const Digest other = world.blobs().Put("other totals").value();
  ASSERT_TRUE(world.database().Execute("UPDATE models SET result = ? WHERE round = 2", {other}).ok());
  const absl::Status lied = world.Recount(2).status();
  EXPECT_TRUE(absl::IsDataLoss(lied));
  EXPECT_THAT(std::string(lied.message()), HasSubstr("the coordinator lied, or its disk does"));
}

TEST(PoisonTest, TheLastRoundIsTakenBackBeforeItIsValidated) {
  WorldOptions options = FiveThatLearn();
  options.conducts[5] = {true, Misdeed::kOtherVector, 4};
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_THAT(ModelIds(world), ::testing::ElementsAre("round-0", "round-1", "round-2", "round-3"));
  EXPECT_EQ(PooledVerdict(world, "round-4"), "");
}

TEST(PoisonTest, ASiteThatLiesAboutItsTagInEveryRoundEndsTheExperimentWithAReason) {
  WorldOptions options = FiveThatLearn();
  options.plan.rounds = 9;
  options.conducts[5] = {true, Misdeed::kOtherVector, 2};
  options.coordinator_restarts = 0.1;
  World world(Consortium(), options);
  world.Run();
  EXPECT_EQ(world.phase(), wire::ExperimentPhase::kFailed);
  EXPECT_THAT(world.job().machine().Message(), ::testing::StartsWith("training round 4"));
  EXPECT_THAT(world.job().machine().Message(), HasSubstr("its totals do not have the sites' tags, say site-0"));
  EXPECT_THAT(world.job().machine().Message(), HasSubstr("3 rounds in a row gave no model"));
  EXPECT_THAT(ModelIds(world), ::testing::ElementsAre("round-0", "round-1"));
}

TEST(PoisonTest, WhoDealsBadSharesIsExcludedAndTheOthersFinish) {
  WorldOptions options = FiveThatLearn();
  options.conducts[3] = {true, Misdeed::kBadShares, 2};
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_EQ(world.job().models().size(), 5u);
  EXPECT_EQ(world.job().models()[1].sites.size(), 5u);
  EXPECT_EQ(world.job().models()[2].sites.size(), 4u);
  EXPECT_THAT(world.Notes(), HasSubstr("site-01 drops out: BAD_SHARE, dealt by site-03"));
  EXPECT_THAT(world.Notes(), HasSubstr("site-03 is excluded: training round 2: the shares that it dealt do not open"));
}

}  // namespace
}  // namespace cloister::sim
