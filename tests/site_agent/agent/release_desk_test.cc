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
  wire::ReleaseState Told() { return site_.Last<wire::ReleaseAnswer>()->state; }

  TestFederation federation_;
  SiteHarness& site_;
};

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

TEST_F(ReleaseDeskTest, TheSitesOwnGateMayRefuse) {
  site_.Kill();
  site_.policy += "release_gate: {minimum_auc: 1.0}\n";
  site_.Start();
  federation_.plan.ensemble.combiner = "mean_probability";
  site_.StepReleases({federation_.Release(Members(), 0.5)});
  EXPECT_EQ(Row().state, ReleaseState::kVerified);  // an AUC of 1 reaches even that
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

}  // namespace
}  // namespace cloister::site
