// SPDX-License-Identifier: Apache-2.0
// Federations that go well, go badly, and are killed at every step: the result is the plaintext oracle's, byte for
// byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/sim_world.h"

namespace cloister::sim {
namespace {

testing::TestConsortium& Consortium() {
  static testing::TestConsortium consortium;
  return consortium;
}

void ExpectOracle(const World& world) {
  for (uint32_t index = 1; index < world.job().models().size(); ++index) {
    EXPECT_EQ(world.Model(index), world.Oracle(index)) << world.job().models().at(index).id;
  }
}

TEST(SimTest, FourSitesReachARelease) {
  WorldOptions options;
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_EQ(world.job().models().size(), 3);
  EXPECT_EQ(world.job().models().back().sites.size(), 4);
  ExpectOracle(world);
  EXPECT_EQ(world.job().machine().Message(), "released: toy-1");
  // The initial model, two rounds with their totals, four baselines; no masked vector is left.
  EXPECT_EQ(world.BlobCount(), 9);
}

TEST(SimTest, TheSameSeedsGiveTheSameModelWhateverIsKilled) {
  WorldOptions calm;
  World first(Consortium(), calm);
  first.Run();
  ASSERT_EQ(first.phase(), wire::ExperimentPhase::kReleased);
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    WorldOptions rough;
    rough.seed = seed;
    rough.site_restarts = 0.3;
    rough.reply_lost = 0.3;
    rough.coordinator_restarts = 0.15;
    World second(Consortium(), rough);
    second.Run();
    ASSERT_EQ(second.phase(), wire::ExperimentPhase::kReleased) << second.job().machine().Message();
    EXPECT_GT(second.coordinator_restarts(), 10);
    EXPECT_EQ(second.job().models().back().digest.hex(), first.job().models().back().digest.hex()) << "seed " << seed;
  }
}

TEST(SimTest, ADatabaseThatIsNotWellIsNoVerdictOnAMessage) {
  WorldOptions options;
  options.database_fails = 1;
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_EQ(world.job().models().back().sites.size(), 4);
  ExpectOracle(world);
}

TEST(SimTest, AnOutageLongerThanTheDeadlineLosesNobody) {
  WorldOptions options;
  options.long_outages = true;
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_GT(world.coordinator_restarts(), 50) << "every phase of every sum, and between its answers";
  EXPECT_EQ(world.job().models().at(1).sites.size(), 4);
  EXPECT_EQ(world.job().models().at(2).sites.size(), 4);
  EXPECT_EQ(world.BlobCount(), 9) << "the four baselines are there";
  ExpectOracle(world);
}

TEST(SimTest, OneSiteOfFourLostAtEveryPhaseIsRecovered) {
  for (const wire::SumPhase phase : {wire::SumPhase::kAdvertise, wire::SumPhase::kShare, wire::SumPhase::kMask,
                                     wire::SumPhase::kConsistency, wire::SumPhase::kUnmask}) {
    SCOPED_TRACE(static_cast<int>(phase));
    WorldOptions options;
    options.lost_sites[2] = {1, phase};
    World world(Consortium(), options);
    world.Run();
    ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
    const size_t in_first = phase > wire::SumPhase::kMask ? 4 : 3;
    EXPECT_EQ(world.job().models().at(1).sites.size(), in_first);
    EXPECT_EQ(world.job().models().at(2).sites.size(), 3);
    ExpectOracle(world);
  }
}

TEST(SimTest, ARoundThatCannotBeUnmaskedIsSkipped) {
  WorldOptions options;
  options.plan.rounds = 3;
  options.away_sites = {{1, {2, wire::SumPhase::kUnmask}}, {2, {2, wire::SumPhase::kUnmask}}};
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  ASSERT_EQ(world.job().models().size(), 3);
  EXPECT_EQ(world.job().models().at(1).id, "round-1");
  EXPECT_EQ(world.job().models().at(2).id, "round-3");
  EXPECT_EQ(world.job().models().at(2).sites.size(), 4);
  ExpectOracle(world);
}

WorldOptions ManySites() {
  WorldOptions options;
  options.sites = 65;
  options.plan.rounds = 1;
  options.plan.maximum = 65;
  return options;
}

TEST(SimTest, SixtyFiveSitesDrawAGraphAndReachARelease) {
  WorldOptions options = ManySites();
  options.lost_sites[7] = {1, wire::SumPhase::kShare};
  options.lost_sites[8] = {1, wire::SumPhase::kConsistency};
  options.site_restarts = 0.05;
  options.reply_lost = 0.05;
  options.coordinator_restarts = 0.005;
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_EQ(world.job().models().back().sites.size(), 64);
  ExpectOracle(world);
}

TEST(SimTest, AWithheldRevealEndsTheStartWithTheSitesName) {
  WorldOptions options = ManySites();
  options.withheld_reveals = {31};
  options.coordinator_restarts = 0.05;
  World world(Consortium(), options);
  world.Run();
  EXPECT_EQ(world.phase(), wire::ExperimentPhase::kFailed);
  EXPECT_EQ(world.job().machine().Message(), "no part of the graph seed before the deadline from site-31");
  EXPECT_EQ(world.job().models().size(), 1) << "the initial one";
}

TEST(SimTest, TooFewSitesFailWithAReason) {
  WorldOptions options;
  options.lost_sites[1] = {2, wire::SumPhase::kMask};
  options.lost_sites[2] = {2, wire::SumPhase::kMask};
  World world(Consortium(), options);
  world.Run();
  EXPECT_EQ(world.phase(), wire::ExperimentPhase::kFailed);
  EXPECT_THAT(world.job().machine().Message(), ::testing::HasSubstr("tried 3 times"));
  EXPECT_EQ(world.job().models().size(), 2);
  ExpectOracle(world);
}

TEST(SimTest, RandomDropoutsAndRestartsEndInTheOracleOrInAReason) {
  int released = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    WorldOptions options;
    options.sites = 5;
    options.seed = seed;
    options.plan.rounds = 3;
    options.site_restarts = 0.1;
    options.reply_lost = 0.1;
    options.site_goes_away = 0.04;
    options.coordinator_restarts = 0.05;
    World world(Consortium(), options);
    world.Run();
    if (HasFatalFailure()) {
      return;
    }
    ASSERT_TRUE(world.job().machine().ended());
    ExpectOracle(world);
    if (world.phase() == wire::ExperimentPhase::kReleased) {
      ++released;
    } else {
      EXPECT_FALSE(world.job().machine().Message().empty());
    }
  }
  EXPECT_GE(released, 6);
}

TEST(SimTest, SixteenSites) {
  WorldOptions options;
  options.sites = 16;
  options.plan.maximum = 16;
  options.plan.rounds = 1;
  options.lost_sites = {{3, {1, wire::SumPhase::kMask}}, {7, {1, wire::SumPhase::kConsistency}}};
  World world(Consortium(), options);
  world.Run();
  ASSERT_EQ(world.phase(), wire::ExperimentPhase::kReleased) << world.job().machine().Message();
  EXPECT_EQ(world.job().models().back().sites.size(), 15);
  ExpectOracle(world);
}

}  // namespace
}  // namespace cloister::sim
