// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "protocols/wire/codec.h"
#include "tests/protocols/wire/wire_examples.h"

namespace cloister::wire {
namespace {

ExperimentStatus MakeStatus() {
  ExperimentStatus status;
  status.job = MakeId<JobId>("job-1");
  status.name = "chest-pneumonia-2026";
  status.task = "chest_pneumonia";
  status.phase = ExperimentPhase::kTraining;
  status.round = 2;
  status.rounds = 8;
  status.attempt = 1;
  status.step = SumPhase::kMask;
  status.sites = {{MakeId<SiteId>("site-a"), "working", {}, {}},
                  {MakeId<SiteId>("site-b"), "refused", RefusalReason::kNoCohort, {}}};
  status.gates = {{"AUC at every site >= 0.7", "round-8", "site-a", "pass", "0.83 (0.78 to 0.88)"}};
  status.release = MakeId<ReleaseId>("release-1");
  status.message = "waits for site-c";
  status.submitted_unix_ms = 1;
  status.model = MakeDigest('m');
  status.plan_digest = MakeDigest('p');
  return status;
}

TEST(OperatorCodecTest, AnExperimentComesBackTheSame) {
  const ExperimentEvent event{7, 1000, "round 2: 4 sites", MakeStatus()};
  const auto again = Decode(Encode(event));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Encode(*again).SerializeAsString(), Encode(event).SerializeAsString());
  EXPECT_EQ(again->status.sites[1].refusal, RefusalReason::kNoCohort);
  EXPECT_FALSE(again->status.sites[0].refusal.has_value());
}

TEST(OperatorCodecTest, RefusesAnExperimentThatIsNotValid) {
  v1::ExperimentStatus message = Encode(MakeStatus());
  message.set_phase(v1::EXPERIMENT_PHASE_UNSPECIFIED);
  EXPECT_FALSE(Decode(message).ok());
  message = Encode(MakeStatus());
  message.set_plan_digest("short");
  EXPECT_FALSE(Decode(message).ok());
  message = Encode(MakeStatus());
  message.set_message("\x1b[2J");  // would clear the operator's terminal
  EXPECT_FALSE(Decode(message).ok());
  message = Encode(MakeStatus());
  message.mutable_sites(0)->set_site("");
  EXPECT_FALSE(Decode(message).ok());
}

TEST(OperatorCodecTest, EncodesTextSoThatTheOtherSideAcceptsIt) {
  ExperimentStatus status = MakeStatus();
  status.message = "disk full\n\tat site-a";
  status.gates[0].detail = std::string(kMaxTextBytes - 1, 'x') + "等";  // the cut falls inside a character
  const auto again = Decode(Encode(status));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->message, "disk full  at site-a");
  EXPECT_EQ(again->gates[0].detail, std::string(kMaxTextBytes - 1, 'x'));
}

TEST(OperatorCodecTest, ReleasesAndSitesComeBackTheSame) {
  const ReleaseStatus release{MakeId<ReleaseId>("release-1"),
                              MakeId<JobId>("job-1"),
                              "1.0.0.1",
                              MakeDocument(),
                              {{MakeId<SiteId>("site-a"), ReleaseState::kActive}},
                              5};
  ASSERT_TRUE(Decode(Encode(release)).ok());
  EXPECT_EQ(Decode(Encode(release))->sites[0].state, ReleaseState::kActive);
  const SiteStatus site{MakeId<SiteId>("site-a"), 1, 2, "0.1.0", 3};
  ASSERT_TRUE(Decode(Encode(site)).ok());
  EXPECT_EQ(Decode(Encode(site))->certificate_expires_unix_ms, 3);
}

TEST(HasEndedTest, IsTrueOfTheLastThreePhasesOnly) {
  EXPECT_FALSE(HasEnded(ExperimentPhase::kCalibrating));
  EXPECT_TRUE(HasEnded(ExperimentPhase::kReleased));
  EXPECT_TRUE(HasEnded(ExperimentPhase::kFailed));
  EXPECT_TRUE(HasEnded(ExperimentPhase::kAborted));
}

}  // namespace
}  // namespace cloister::wire
