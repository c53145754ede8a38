// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/release_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "tests/site_agent/agent/test_federation.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ReleaseDeskTest : public ::testing::Test {
 protected:
  ReleaseDeskTest() : site_(*federation_.sites[2]) {
    EXPECT_TRUE(federation_.Invite());
    site_.Step(federation_.job, {federation_.BaselineItem()});
  }

  std::vector<std::pair<std::string, Digest>> Members() { return {{"round-0", federation_.plan.model.initial_model}}; }
  void Sign(const std::string& release, SignOffDecision decision) {
    SignOffRow row;
    row.release = ReleaseId::Parse(release).value();
    row.decision = decision;
    row.person = "Dr Demo";
    row.role = "radiologist";
    row.time_unix_ms = absl::ToUnixMillis(federation_.clock.Now());
    ASSERT_TRUE(site_.store().releases().AddSignOff(row).ok());
  }
  ReleaseRow Row(const std::string& release = "release-1") {
    return site_.store().releases().Get(ReleaseId::Parse(release).value()).value();
  }
  // What is edited counts at once.
  void WritePolicy(const std::string& more) {
    ASSERT_TRUE(WriteFileAtomically(site_.config.policy, site_.policy + more).ok());
  }
  // From now on this site's release finds half of the positives.
  void ScoreBadly() {
    site_.Kill();
    site_.worker_environment["CLOISTER_FAKE_MISS"] = "1";
    site_.Start();
  }
  // From now on the worker cannot use this model.
  void MakeUnusable(const std::string& model) {
    site_.Kill();
    site_.worker_environment["CLOISTER_FAKE_UNUSABLE"] = model;
    site_.Start();
  }
  wire::ReleaseState Told() { return site_.Last<wire::ReleaseAnswer>()->state; }

  TestFederation federation_;
  SiteHarness& site_;
};

TEST_F(ReleaseDeskTest, AModelThatCannotBeUsedIsInvalid) {
  MakeUnusable("release");
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  EXPECT_EQ(Row().state, ReleaseState::kInvalid);
  EXPECT_THAT(Row().detail, HasSubstr("not finite"));
}

TEST_F(ReleaseDeskTest, TheReportGoesWithoutALocalOnlyModelThatCannotBeUsed) {
  MakeUnusable("local-only");
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  EXPECT_EQ(Row().state, ReleaseState::kVerified) << Row().detail;
  const auto numbers = nlohmann::json::parse(Row().numbers);
  EXPECT_DOUBLE_EQ(numbers["federated"]["auc"]["value"], 1.0);
  EXPECT_EQ(numbers["local_only"]["auc"]["not_estimable"], "no_baseline");
}

TEST_F(ReleaseDeskTest, ValidatesWritesTheReportAndWaitsForAClinician) {
  const wire::ReleaseOffer offer = federation_.Release(Members(), 0.5);
  site_.StepReleases({offer});
  EXPECT_EQ(Row().state, ReleaseState::kVerified) << Row().detail;
  EXPECT_EQ(Told(), wire::ReleaseState::kVerified);
  const std::string html = *ReadFile(Row().report_html);
  EXPECT_THAT(html, HasSubstr("<html"));
  EXPECT_THAT(html, HasSubstr("Site A"));
  EXPECT_THAT(html, Not(HasSubstr(federation_.sites[1]->id.value()))) << "other hospitals have letters";
  const auto numbers = nlohmann::json::parse(Row().numbers);
  EXPECT_EQ(numbers["patients"], 60);
  EXPECT_DOUBLE_EQ(numbers["federated"]["auc"]["value"], 1.0);
  EXPECT_DOUBLE_EQ(numbers["local_only"]["auc"]["value"], 1.0);
  EXPECT_GT(numbers["federated"]["sensitivity"]["value"], 0.9);

  Sign("release-1", SignOffDecision::kAccept);
  site_.StepReleases({});
  EXPECT_EQ(Row().state, ReleaseState::kActive);
  EXPECT_EQ(Told(), wire::ReleaseState::kActive);
  EXPECT_THAT(*ReadFile(Row().report_html), HasSubstr("Dr Demo"));
  EXPECT_EQ(site_.Runs("validate"), 1);

  Sign("release-1", SignOffDecision::kRollback);
  site_.StepReleases({});
  EXPECT_EQ(Row().state, ReleaseState::kRolledBack);
  EXPECT_EQ(Told(), wire::ReleaseState::kRolledBack);
  EXPECT_TRUE(site_.store().releases().Active()->empty());
}

TEST_F(ReleaseDeskTest, AKillInBetweenLosesNothing) {
  const wire::ReleaseOffer offer = federation_.Release(Members(), 0.5);
  site_.StepReleases({offer});
  site_.Kill();
  site_.Start();
  Sign("release-1", SignOffDecision::kAccept);
  site_.StepReleases({offer});
  EXPECT_EQ(Row().state, ReleaseState::kActive);
  EXPECT_EQ(site_.Runs("validate"), 1);
  EXPECT_EQ(Told(), wire::ReleaseState::kActive);
  EXPECT_THAT(*ReadFile(Row().report_html), HasSubstr("Dr Demo"));
}

TEST_F(ReleaseDeskTest, ASignatureIsInTheReportEvenIfTheScoresAreComputedAgainForIt) {
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  const std::vector<WorkerJobRow> jobs = site_.store().worker_jobs().List(100).value();
  for (const WorkerJobRow& job : jobs) {
    if (job.kind == "validate") {
      std::filesystem::remove_all(job.folder);
    }
  }
  site_.Kill();
  site_.Start();
  Sign("release-1", SignOffDecision::kAccept);
  site_.StepReleases({});
  EXPECT_EQ(site_.Runs("validate"), 2);
  EXPECT_EQ(Row().state, ReleaseState::kActive);
  EXPECT_THAT(*ReadFile(Row().report_html), HasSubstr("Dr Demo"));
}

TEST_F(ReleaseDeskTest, WhatWasDecidedBeforeAKillIsToldAfterIt) {
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  Sign("release-1", SignOffDecision::kAccept);
  site_.link.cut = true;
  site_.StepReleases({});
  EXPECT_EQ(Row().state, ReleaseState::kActive);
  EXPECT_EQ(Told(), wire::ReleaseState::kVerified);
  site_.Kill();
  site_.link.cut = false;
  site_.Start();
  site_.StepReleases({});
  EXPECT_EQ(Told(), wire::ReleaseState::kActive);
}

TEST_F(ReleaseDeskTest, ATamperedReleaseIsNeverUsed) {
  wire::ReleaseOffer offer = federation_.Release(Members(), 0.5);
  const size_t at = offer.manifest.document.find("\"operating_point\":0.5");
  ASSERT_NE(at, Bytes::npos);
  offer.manifest.document.replace(at, strlen("\"operating_point\":0.5"), "\"operating_point\":0.9");
  site_.StepReleases({offer});
  EXPECT_EQ(Row().state, ReleaseState::kInvalid);
  EXPECT_EQ(Told(), wire::ReleaseState::kInvalid);
  Sign("release-1", SignOffDecision::kAccept);
  site_.StepReleases({offer});
  EXPECT_EQ(Row().state, ReleaseState::kInvalid);
}

TEST_F(ReleaseDeskTest, AReleaseSignedByAnybodyElseIsInvalid) {
  wire::ReleaseOffer offer = federation_.Release(Members(), 0.5);
  const crypto::Signer& other = federation_.pki.site(1);
  offer.manifest.signature = other.Sign(plan::kReleaseDomain, offer.manifest.document);
  offer.manifest.certificate = other.certificate().der();
  site_.StepReleases({offer});
  EXPECT_EQ(Row().state, ReleaseState::kInvalid);
}

TEST_F(ReleaseDeskTest, AWrongClockDoesNotMakeAReleaseInvalid) {
  const wire::ReleaseOffer offer = federation_.Release(Members(), 0.5);
  const absl::Duration off = absl::Hours(24 * 365 * 100);
  federation_.clock.Advance(-off);
  site_.StepReleases({offer});
  EXPECT_EQ(Row().state, ReleaseState::kOffered);
  EXPECT_THAT(Row().detail, HasSubstr("clock"));
  federation_.clock.Advance(off);
  site_.StepReleases({offer});
  EXPECT_EQ(Row().state, ReleaseState::kVerified) << Row().detail;
}

TEST_F(ReleaseDeskTest, AnUnreadablePolicyDoesNotMakeAReleaseInvalid) {
  const wire::ReleaseOffer offer = federation_.Release(Members(), 0.5);
  WritePolicy("serving_alowed: yes\n");
  site_.StepReleases({offer});
  EXPECT_EQ(Row().state, ReleaseState::kOffered);
  EXPECT_THAT(Row().detail, HasSubstr("serving_alowed"));
  WritePolicy("");
  federation_.clock.Advance(absl::Minutes(1));
  site_.StepReleases({offer});
  EXPECT_EQ(Row().state, ReleaseState::kVerified) << Row().detail;
}

TEST_F(ReleaseDeskTest, AnExperimentThatIsNotKnownYetDoesNotMakeAReleaseInvalid) {
  federation_.job = JobId::Parse("job-2").value();
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  EXPECT_EQ(Row().state, ReleaseState::kOffered);
  EXPECT_THAT(Row().detail, HasSubstr("not known here"));
}

TEST_F(ReleaseDeskTest, TheSitesOwnGateMayRefuse) {
  ScoreBadly();
  WritePolicy("release_gate: {minimum_auc: 0.9}\n");
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  EXPECT_EQ(Row().state, ReleaseState::kGateFailed);
  EXPECT_THAT(Row().detail, HasSubstr("auc"));
  EXPECT_EQ(Told(), wire::ReleaseState::kGateFailed);
  Sign("release-1", SignOffDecision::kAccept);
  site_.StepReleases({});
  EXPECT_EQ(Row().state, ReleaseState::kGateFailed);
  EXPECT_TRUE(site_.store().releases().Active()->empty());
}

TEST_F(ReleaseDeskTest, APolicyTightenedBeforeTheSignOffCounts) {
  ScoreBadly();
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  ASSERT_EQ(Row().state, ReleaseState::kVerified) << Row().detail;
  WritePolicy("release_gate: {minimum_auc: 0.9}\n");
  Sign("release-1", SignOffDecision::kAccept);
  site_.StepReleases({});
  EXPECT_EQ(Row().state, ReleaseState::kGateFailed);
  EXPECT_EQ(Told(), wire::ReleaseState::kGateFailed);
}

TEST_F(ReleaseDeskTest, ASignatureWaitsForAReadablePolicy) {
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  WritePolicy("release_gat: {}\n");
  Sign("release-1", SignOffDecision::kAccept);
  site_.StepReleases({});
  EXPECT_EQ(Row().state, ReleaseState::kVerified);
  EXPECT_THAT(site_.store().progress().Events(1)->front().text, HasSubstr("cannot take effect yet"));
  WritePolicy("");
  federation_.clock.Advance(absl::Seconds(10));
  site_.StepReleases({});
  EXPECT_EQ(Row().state, ReleaseState::kActive);
}

TEST_F(ReleaseDeskTest, AClinicianMayDecline) {
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  Sign("release-1", SignOffDecision::kDecline);
  site_.StepReleases({});
  EXPECT_EQ(Row().state, ReleaseState::kDeclined);
  EXPECT_EQ(Told(), wire::ReleaseState::kDeclined);
}

TEST_F(ReleaseDeskTest, RollingBackBringsTheOneBeforeBack) {
  site_.StepReleases({federation_.Release(Members(), 0.5, "release-1")});
  Sign("release-1", SignOffDecision::kAccept);
  site_.StepReleases({});
  federation_.clock.Advance(absl::Minutes(5));
  site_.StepReleases({federation_.Release(Members(), 0.6, "release-2")});
  Sign("release-2", SignOffDecision::kAccept);
  site_.StepReleases({});
  EXPECT_EQ(Row("release-1").state, ReleaseState::kSuperseded);
  EXPECT_EQ(Row("release-2").state, ReleaseState::kActive);
  Sign("release-2", SignOffDecision::kRollback);
  site_.StepReleases({});
  EXPECT_EQ(Row("release-2").state, ReleaseState::kRolledBack);
  EXPECT_EQ(Row("release-1").state, ReleaseState::kActive);
}

TEST_F(ReleaseDeskTest, ARollbackThatIsCutShortChangesNothing) {
  site_.StepReleases({federation_.Release(Members(), 0.5, "release-1")});
  Sign("release-1", SignOffDecision::kAccept);
  site_.StepReleases({});
  federation_.clock.Advance(absl::Minutes(5));
  site_.StepReleases({federation_.Release(Members(), 0.6, "release-2")});
  Sign("release-2", SignOffDecision::kAccept);
  site_.StepReleases({});
  ASSERT_TRUE(site_.store()
                  .database()
                  .Execute("CREATE TRIGGER cut BEFORE UPDATE ON release WHEN NEW.state = 'active' "
                           "BEGIN SELECT RAISE(ABORT, 'killed'); END")
                  .ok());
  Sign("release-2", SignOffDecision::kRollback);
  site_.StepReleases({});
  EXPECT_EQ(Row("release-1").state, ReleaseState::kSuperseded);
  EXPECT_EQ(Row("release-2").state, ReleaseState::kActive);
  ASSERT_TRUE(site_.store().database().Execute("DROP TRIGGER cut").ok());
  site_.StepReleases({});
  EXPECT_EQ(Row("release-1").state, ReleaseState::kActive);
  EXPECT_EQ(Row("release-2").state, ReleaseState::kRolledBack);
}

// Too few patients of one class at this site: nothing can be said about the release here.
class UndecidedGateTest : public ::testing::Test {
 protected:
  UndecidedGateTest() : site_(*federation_.sites[2]) {
    for (FakeStudy& study : site_.pacs.studies) {
      study.content = "BAD";
    }
    for (int patient = 0; patient < 40; ++patient) {
      site_.pacs.Add(5000 + patient, false);
    }
    site_.Kill();
    site_.Start();
    EXPECT_TRUE(federation_.Invite());
  }
  ReleaseRow Row() { return site_.store().releases().Get(ReleaseId::Parse("release-1").value()).value(); }

  TestFederation federation_;
  SiteHarness& site_;
};

TEST_F(UndecidedGateTest, IsSaidPlainlyAndMayBeSigned) {
  site_.StepReleases({federation_.Release({{"round-0", federation_.plan.model.initial_model}}, 0.5)});
  EXPECT_EQ(Row().state, ReleaseState::kVerified);
  EXPECT_THAT(Row().detail, HasSubstr("could not be decided here"));
  EXPECT_THAT(Row().detail, HasSubstr("one_class"));
  EXPECT_THAT(*ReadFile(Row().report_html), HasSubstr("could not be decided here"));
  EXPECT_EQ(nlohmann::json::parse(Row().numbers)["gate"], "not_estimable");
  SignOffRow sign_off;
  sign_off.release = Row().release;
  sign_off.decision = SignOffDecision::kAccept;
  sign_off.person = "Dr Demo";
  ASSERT_TRUE(site_.store().releases().AddSignOff(sign_off).ok());
  site_.StepReleases({});
  EXPECT_EQ(Row().state, ReleaseState::kActive);
  EXPECT_THAT(Row().detail, HasSubstr("could not be decided here"));
}

TEST_F(UndecidedGateTest, FailsWhereThePolicyRequiresADecision) {
  ASSERT_TRUE(WriteFileAtomically(site_.config.policy, site_.policy + "release_gate: {require_decided: true}\n").ok());
  site_.StepReleases({federation_.Release({{"round-0", federation_.plan.model.initial_model}}, 0.5)});
  EXPECT_EQ(Row().state, ReleaseState::kGateFailed);
  EXPECT_THAT(Row().detail, HasSubstr("could not be decided here, which its policy counts as failed"));
}

}  // namespace
}  // namespace cloister::site
