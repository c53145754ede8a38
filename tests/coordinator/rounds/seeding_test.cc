// SPDX-License-Identifier: Apache-2.0
// Experiments of more sites than a full graph has: everybody reveals its part of the graph seed, or there is none.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/rounds/machine.h"
#include "protocols/crypto/hash.h"

namespace cloister::coordinator {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1760000000);

SiteId Site(int number) {
  return *SiteId::Parse(fmt::format("s{:03}", number));
}

plan::Experiment Plan(int maximum, int colluders = 1) {
  plan::Experiment experiment;
  experiment.name = "chest";
  experiment.algorithm.rounds = 2;
  experiment.sites.minimum = 5;
  experiment.sites.maximum = maximum;
  experiment.sites.invitation_ms = 60'000;
  experiment.sites.deadline_ms = 10'000;
  experiment.privacy.colluders = colluders;
  return experiment;
}

Step Must(ExperimentMachine& machine, const Event& event, absl::Time now = kStart) {
  absl::StatusOr<Step> step = machine.Handle(now, event);
  EXPECT_TRUE(step.ok()) << step.status();
  return step.ok() ? *std::move(step) : Step();
}

// After `sites` have accepted a plan for so many.
ExperimentMachine Accepted(int sites, int colluders = 1) {
  ExperimentMachine machine(Plan(sites, colluders), kStart);
  for (int i = 1; i <= sites; ++i) {
    Must(machine, SiteKnown{Site(i)});
  }
  for (int i = 1; i <= sites; ++i) {
    Must(machine, SiteAccepted{Site(i)});
  }
  return machine;
}

GraphRevealed RevealOf(int number) {
  return {Site(number), crypto::Sha256(Site(number).value())};
}

TEST(SeedingTest, SixtyFourSitesNeedNoGraphSeed) {
  EXPECT_TRUE(std::holds_alternative<Baselines>(Accepted(64).state()));
}

TEST(SeedingTest, EverybodyRevealsBeforeAnythingElse) {
  ExperimentMachine machine = Accepted(65);
  ASSERT_TRUE(std::holds_alternative<Seeding>(machine.state()));
  EXPECT_EQ(machine.phase(), wire::ExperimentPhase::kInviting);
  EXPECT_TRUE(std::holds_alternative<SeedWork>(machine.WorkFor(Site(1))));
  EXPECT_EQ(machine.Participants().size(), 65u);
  EXPECT_FALSE(machine.Handle(kStart, BaselineDone{Site(1), true}).ok());
  EXPECT_EQ(machine.Handle(kStart, GraphRevealed{Site(66), Digest()}).status().code(),
            absl::StatusCode::kPermissionDenied);
  for (int i = 1; i < 65; ++i) {
    EXPECT_EQ(Must(machine, RevealOf(i)).facts.size(), 1u);
    EXPECT_TRUE(Must(machine, RevealOf(i)).facts.empty()) << "nothing new";
    EXPECT_TRUE(std::holds_alternative<std::monostate>(machine.WorkFor(Site(i))));
  }
  EXPECT_EQ(machine.Message(), "graph seed: waiting for s065");
  Must(machine, RevealOf(65));
  EXPECT_TRUE(std::holds_alternative<Baselines>(machine.state()));
  EXPECT_TRUE(std::holds_alternative<BaselineWork>(machine.WorkFor(Site(1))));
  EXPECT_EQ(machine.sites().at(Site(9)).graph_reveal, RevealOf(9).reveal);
}

TEST(SeedingTest, NobodyCanStayOut) {
  ExperimentMachine machine = Accepted(65);
  for (int i = 1; i <= 63; ++i) {
    Must(machine, RevealOf(i));
  }
  ExperimentMachine refused = machine;
  Must(refused, SiteFailed{Site(64), {}, wire::FailureReason::kProtocolViolation});
  ASSERT_TRUE(std::holds_alternative<Failed>(refused.state()));
  EXPECT_EQ(refused.Message(), "s064 does not reveal its part of the graph seed: PROTOCOL_VIOLATION");

  EXPECT_TRUE(Must(machine, Tick{}, kStart + absl::Seconds(9)).facts.empty());
  EXPECT_EQ(machine.NextDeadline(), kStart + absl::Seconds(10));
  Must(machine, Tick{}, kStart + absl::Seconds(10));
  ASSERT_TRUE(std::holds_alternative<Failed>(machine.state()));
  EXPECT_EQ(machine.Message(), "no part of the graph seed before the deadline from s064, s065");
}

TEST(SeedingTest, WithoutASafeGraphThereIsNoStart) {
  const ExperimentMachine machine = Accepted(65, 55);
  ASSERT_TRUE(std::holds_alternative<Failed>(machine.state()));
  EXPECT_THAT(machine.Message(), ::testing::HasSubstr("no sparse graph of 65 sites stands 55 colluders"));
}

TEST(SeedingTest, RevealsAreFacts) {
  const Fact fact{kStart, RevealOf(3)};
  const auto again = DecodeFact(EncodeFact(fact));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(std::get<GraphRevealed>(again->event).reveal, RevealOf(3).reveal);
  EXPECT_EQ(DecodeFact(R"({"event":"graph_revealed","site":"a","reveal":"7","time_ms":1})").status().code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cloister::coordinator
