// SPDX-License-Identifier: Apache-2.0
// What people decide: approve, decline, sign, rollback; and what they look at before and after: experiments, releases,
// report, audit, status.
#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/site_agent/cli/cli_site.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class DecisionsTest : public CliSite {
 protected:
  Shown Sign(const std::string& release, const std::string& decision) {
    return Run({"sign", "--release", release, "--name", "Dr Li", "--role", "radiology", "--decision", decision});
  }
  Shown RollBack(const std::string& release) { return Run({"rollback", "--release", release, "--name", "Dr Li"}); }
  std::optional<SignOffDecision> Newest(const std::string& release) {
    const auto row = *store().releases().NewestSignOff(*ReleaseId::Parse(release));
    return row ? std::optional(row->decision) : std::nullopt;
  }
};

TEST_F(DecisionsTest, ApproveShowsThePlanAsksAndAudits) {
  const ExperimentRow offer = Offer("job-1");
  const Shown no = Run({"approve", "job-1"}, "n\n");
  EXPECT_EQ(no.status, kFailed);
  EXPECT_THAT(no.out, HasSubstr(offer.plan_digest.hex()));
  EXPECT_THAT(no.out, HasSubstr("study-office"));
  EXPECT_THAT(no.out, HasSubstr("resnet18, 11.2 M parameters"));
  EXPECT_THAT(no.out, HasSubstr("12 rounds"));
  EXPECT_THAT(no.out, HasSubstr("Gates"));
  EXPECT_THAT(no.out, HasSubstr("no differential privacy"));
  EXPECT_THAT(no.err, HasSubstr("Approve exactly this plan? [y/N]"));
  EXPECT_EQ(Run({"approve", "job-1"}, "").status, kFailed) << "the end of the input is a no";
  EXPECT_FALSE(store().experiments().NewestApproval(offer.job, offer.plan_digest)->has_value());
  EXPECT_THAT(AuditLog(), IsEmpty());

  const Shown yes = Run({"approve", "job-1", "--name", "Li Wei", "--comment", "in the board"}, "y\n");
  ASSERT_EQ(yes.status, kDone) << yes.err;
  const auto approval = *store().experiments().NewestApproval(offer.job, offer.plan_digest);
  ASSERT_TRUE(approval.has_value());
  EXPECT_EQ(approval->decision, ApprovalDecision::kApproved);
  EXPECT_EQ(approval->person, "Li Wei");
  EXPECT_EQ(approval->comment, "in the board");
  ASSERT_EQ(AuditLog().size(), 1u);
  EXPECT_EQ(AuditLog()[0].event.action, "approve");
  EXPECT_EQ(AuditLog()[0].event.subject, offer.plan_digest.hex());
  EXPECT_THAT(AuditLog()[0].event.detail, HasSubstr("Li Wei"));
}

TEST_F(DecisionsTest, TheLedgerIsShownWithWhatIsLeft) {
  const Shown empty = Run({"privacy"});
  ASSERT_EQ(empty.status, kDone) << empty.err;
  EXPECT_THAT(empty.out, HasSubstr("No experiment with differential privacy was offered here yet."));
  EXPECT_THAT(empty.out, HasSubstr("The policy sets no limit"));

  PrivacyRow row;
  row.job = *JobId::Parse("job-1");
  row.task = "chest_pneumonia";
  row.experiment = "chest";
  row.unit = "patient";
  row.epsilon = 5;
  row.delta = 1e-6;
  row.rounds = 12;
  ASSERT_TRUE(store().privacy().Promise(row, std::nullopt).ok());
  ASSERT_TRUE(store().privacy().Spend(row.job, Digest(), 1.25, std::nullopt, 1).ok());
  row.job = *JobId::Parse("job-2");
  ASSERT_TRUE(store().privacy().Quote(row).ok());
  Write("policy.yaml", "differential_privacy: {max_epsilon: 8, delta: 1.0e-4, require: true}\n");
  const Shown shown = Run({"privacy"});
  EXPECT_THAT(shown.out, HasSubstr("1 of 12"));
  EXPECT_THAT(shown.out, HasSubstr("promised"));
  EXPECT_THAT(shown.out, HasSubstr("offered"));
  EXPECT_THAT(shown.out, HasSubstr("Spent: epsilon 1.25. Promised and not spent: 3.75."));
  EXPECT_THAT(shown.out, HasSubstr("allows epsilon 8 at delta 0.0001 in all, and no plan without differential privacy: "
                                   "epsilon 3 is left"));
  const auto json = Run({"privacy", "--json"}).Json();
  EXPECT_EQ(json["experiments"].size(), 2u);
  EXPECT_EQ(json["spent_epsilon"], 1.25);
  EXPECT_EQ(json["taken_epsilon"], 5);
  EXPECT_EQ(json["limit"]["max_epsilon"], 8);
}

TEST_F(DecisionsTest, APlanIsFoundByTheBeginningOfItsDigest) {
  const ExperimentRow first = Offer("job-1", "one");
  Offer("job-2", "two");
  const std::string prefix = first.plan_digest.hex().substr(0, 8);
  ASSERT_EQ(Run({"decline", prefix, "--yes"}).status, kDone);
  EXPECT_EQ((*store().experiments().NewestApproval(first.job, first.plan_digest))->decision,
            ApprovalDecision::kDeclined);
  for (const std::string& unknown : {first.plan_digest.hex().substr(0, 3), std::string("job-9"), std::string("")}) {
    const Shown shown = Run({"approve", unknown, "--yes"});
    EXPECT_EQ(shown.status, kFailed) << unknown;
    EXPECT_THAT(shown.err, HasSubstr("cloister-site experiments")) << unknown;
  }
}

TEST_F(DecisionsTest, AWordIsAboutOneJobOfAPlan) {
  const ExperimentRow first = Offer("job-1");
  const ExperimentRow second = Offer("job-2");
  ASSERT_EQ(first.plan_digest, second.plan_digest);
  ASSERT_EQ(Run({"approve", "job-1", "--yes"}).status, kDone);
  EXPECT_TRUE(store().experiments().NewestApproval(first.job, first.plan_digest)->has_value());
  EXPECT_FALSE(store().experiments().NewestApproval(second.job, second.plan_digest)->has_value());
}

TEST_F(DecisionsTest, WhatHasBegunOrEndedIsNotDecidedAgain) {
  const ExperimentRow offer = Offer("job-1");
  ASSERT_TRUE(store().experiments().SetAccepted(offer.job, "acceptance", 1).ok());
  const Shown late = Run({"decline", "job-1", "--yes"});
  EXPECT_EQ(late.status, kFailed);
  EXPECT_THAT(late.err, HasSubstr("takes part"));
  EXPECT_EQ(Run({"approve", "job-1", "--yes"}).status, kDone) << "saying it twice does no harm";
  ASSERT_TRUE(store().experiments().SetClosed(offer.job, "aborted", "by the operator").ok());
  EXPECT_THAT(Run({"approve", "job-1", "--yes"}).err, HasSubstr("has ended (aborted)"));
}

TEST_F(DecisionsTest, ADecisionNeedsAProperName) {
  Offer("job-1");
  EXPECT_THAT(Run({"approve", "job-1", "--yes", "--name", "  "}).err, HasSubstr("needs the name"));
  EXPECT_THAT(Run({"approve", "job-1", "--yes", "--name", "Li\nWei"}).err, HasSubstr("one line"));
  EXPECT_THAT(Run({"approve", "job-1", "--yes", "--comment", std::string(501, 'x')}).err, HasSubstr("501 bytes"));
  EXPECT_THAT(AuditLog(), IsEmpty());
  EXPECT_EQ(Run({"approve", "job-1", "--yes", "--name", "\xE6\x9D\x8E\xE4\xBC\x9F"}).status, kDone);
}

TEST_F(DecisionsTest, ExperimentsAsATableAndAsJson) {
  EXPECT_THAT(Run({"experiments"}).out, HasSubstr("no experiment yet"));
  EXPECT_EQ(Run({"experiments", "--json"}).Json(), nlohmann::json::array());
  const ExperimentRow offer = Offer("job-1");
  ASSERT_TRUE(store().experiments().SetRefused(offer.job, "NOT_APPROVED", "waits\x1b[31m for a person", 1).ok());
  const Shown table = Run({"experiments"});
  EXPECT_THAT(table.out, HasSubstr("waits for approval"));
  EXPECT_THAT(table.out, HasSubstr("waits?[31m for a person"));
  const nlohmann::json list = Run({"experiments", "--json"}).Json();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["job"], "job-1");
  EXPECT_EQ(list[0]["state"], "refused");
  EXPECT_EQ(list[0]["plan"], offer.plan_digest.hex());
}

// state        accept decline rollback
// verified     yes    yes     no
// active       no     no      yes
// all others   no     no      no
TEST_F(DecisionsTest, WhichWordIsTakenInWhichState) {
  for (ReleaseState state :
       {ReleaseState::kOffered, ReleaseState::kVerified, ReleaseState::kGateFailed, ReleaseState::kActive,
        ReleaseState::kDeclined, ReleaseState::kRolledBack, ReleaseState::kInvalid, ReleaseState::kSuperseded}) {
    const std::string release = "rel-" + std::string(ReleaseStateName(state));
    AddRelease(release, state);
    const size_t before = AuditLog().size();
    const bool verified = state == ReleaseState::kVerified;
    EXPECT_EQ(Sign(release, "accept").status, verified ? kDone : kFailed) << release;
    EXPECT_EQ(Sign(release, "decline").status, verified ? kDone : kFailed) << release;
    EXPECT_EQ(RollBack(release).status, state == ReleaseState::kActive ? kDone : kFailed) << release;
    const size_t taken = verified ? 2 : state == ReleaseState::kActive ? 1 : 0;
    EXPECT_EQ(AuditLog().size() - before, taken) << release;
    EXPECT_EQ(Newest(release).has_value(), taken > 0) << release;
  }
  EXPECT_THAT(Sign("rel-gate_failed", "accept").err, HasSubstr("did not pass this site's own gate"));
  EXPECT_THAT(Sign("rel-offered", "accept").err, HasSubstr("has not been validated here yet"));
  EXPECT_THAT(Sign("rel-invalid", "accept").err, HasSubstr("not genuine"));
  EXPECT_EQ(Newest("rel-verified"), SignOffDecision::kDecline) << "the newest word counts";
  EXPECT_EQ(Newest("rel-active"), SignOffDecision::kRollback);
}

TEST_F(DecisionsTest, AnUnknownReleaseIsSaidSo) {
  const Shown unknown = Sign("rel-nowhere", "accept");
  EXPECT_EQ(unknown.status, kFailed);
  EXPECT_THAT(unknown.err, HasSubstr("cloister-site releases lists them"));
  EXPECT_EQ(Sign("Not An Id", "accept").status, kFailed);
  EXPECT_EQ(RollBack("rel-nowhere").status, kFailed);
  EXPECT_THAT(Run({"report", "rel-nowhere"}).err, HasSubstr("cloister-site releases lists them"));
}

TEST_F(DecisionsTest, ReleasesAsATableAndAsJson) {
  EXPECT_THAT(Run({"releases"}).out, HasSubstr("No release"));
  AddRelease("rel-1", ReleaseState::kVerified);
  const Shown signing = Sign("rel-1", "accept");
  ASSERT_EQ(signing.status, kDone);
  EXPECT_THAT(signing.out, HasSubstr("validated here: a detail"));
  EXPECT_THAT(Run({"releases"}).out, HasSubstr("/r/report.html"));
  const nlohmann::json list = Run({"releases", "--json"}).Json();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["release"], "rel-1");
  EXPECT_EQ(list[0]["state"], "verified");
  EXPECT_EQ(list[0]["report_html"], "/r/report.html");
  EXPECT_EQ(list[0]["sign_off"]["person"], "Dr Li");
  EXPECT_EQ(list[0]["sign_off"]["decision"], "accept");
}

TEST_F(DecisionsTest, ReportSaysNumbersAndWhatIsNotEstimable) {
  EXPECT_THAT(Run({"report"}).err, HasSubstr("no release has been validated here yet"));
  AddRelease("rel-0", ReleaseState::kOffered);
  EXPECT_THAT(Run({"report", "rel-0"}).err, HasSubstr("has no report yet"));
  EXPECT_EQ(Run({"report"}).status, kFailed);
  AddRelease("rel-1", ReleaseState::kVerified);

  const Shown text = Run({"report"});
  ASSERT_EQ(text.status, kDone) << text.err;
  EXPECT_THAT(text.out, HasSubstr("412, of them 137 positive (33.2%); 82 held out"));
  EXPECT_THAT(text.out, HasSubstr("0.870 (0.781-0.959)"));
  EXPECT_THAT(text.out, HasSubstr("not estimable: no baseline"));
  EXPECT_THAT(text.out, HasSubstr("not estimable: one class"));
  EXPECT_THAT(text.out, HasSubstr("pass  auc at every site"));

  const nlohmann::json json = Run({"report", "rel-1", "--json"}).Json();
  EXPECT_EQ(json["federated"]["auc"]["value"], 0.87);
  EXPECT_EQ(json["local_only"]["auc"]["not_estimable"], "no_baseline");
  EXPECT_EQ(json["report_html"], "/r/report.html");
  EXPECT_EQ(json["report_json"], "/r/report.json");
  EXPECT_EQ(json["state"], "verified");

  EXPECT_EQ(Run({"report", "rel-1", "--row"}).out,
            "north             412       33.2%  not estimable          0.870 (0.781-0.959)    "
            "0.900 (0.740-0.970) not estimable     \n");
  EXPECT_EQ(Run({"report", "rel-1", "--row", "--json"}).status, kUsage);
}

TEST_F(DecisionsTest, AuditIsShownAndVerified) {
  EXPECT_THAT(Run({"audit", "show"}).out, HasSubstr("empty"));
  EXPECT_EQ(Run({"audit", "verify"}).status, kDone);
  Offer("job-1");
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(Run({"approve", "job-1", "--yes", "--name", "Li Wei"}).status, kDone);
  }
  EXPECT_EQ(Run({"audit", "show", "--last", "2", "--json"}).Json().size(), 2u);
  EXPECT_EQ(Run({"audit", "show", "--json"}).Json()[0]["detail"]["person"], "Li Wei");
  EXPECT_THAT(Run({"audit", "show"}).out, HasSubstr("approve"));

  const nlohmann::json whole = Run({"audit", "verify", "--json"}).Json();
  EXPECT_EQ(whole["whole"], true);
  EXPECT_EQ(whole["records"], 5);
  const std::string head = whole["head"];
  const std::string hash = head.substr(head.find(':') + 1);
  ASSERT_EQ(Run({"approve", "job-1", "--yes"}).status, kDone);
  EXPECT_EQ(Run({"audit", "verify", "--head", head}).status, kDone);
  EXPECT_EQ(Run({"audit", "verify", "--head", hash}).status, kDone);

  EXPECT_EQ(Run({"audit", "verify", "--head", "9:" + hash}).status, kFailed) << "cut off";
  EXPECT_EQ(Run({"audit", "verify", "--head", "4:" + hash}).status, kFailed) << "rewritten";
  EXPECT_THAT(Run({"audit", "verify", "--head", std::string(64, 'a')}).err, HasSubstr("cut off"));
  for (const char* wrong : {"abc", "x:abc", "-1:", ":", "99999999999999999999:"}) {
    EXPECT_EQ(Run({"audit", "verify", std::string("--head=") + wrong + (wrong[0] == '9' ? hash : "")}).status, kFailed)
        << wrong;
  }
}

TEST_F(DecisionsTest, StatusKnowsWhetherAnAgentRuns) {
  const Shown never = Run({"status"});
  EXPECT_EQ(never.status, kDone);
  EXPECT_THAT(never.out, HasSubstr("not running (last sign of life: never)"));

  const int64_t now = absl::ToUnixMillis(clock_.Now());
  ProgressTable& facts = store().progress();
  ASSERT_TRUE(facts.SetFact("heartbeat_unix_ms", std::to_string(now)).ok());
  ASSERT_TRUE(facts.SetFact("agent_pid", std::to_string(getpid())).ok());
  ASSERT_TRUE(facts.SetFact("coordinator", "connected").ok());
  ASSERT_TRUE(facts.AddEvent("job-1", "accepted", now).ok());
  Offer("job-1");
  AddRelease("rel-1", ReleaseState::kVerified);
  ProgressRow progress;
  progress.job = "job-1";
  progress.step = "round";
  progress.round = 3;
  progress.rounds = 12;
  ASSERT_TRUE(facts.Put(progress).ok());

  const Shown alive = Run({"status"});
  EXPECT_THAT(alive.out, HasSubstr("coordinator connected"));
  EXPECT_THAT(alive.out, HasSubstr("round 3/12"));
  EXPECT_THAT(alive.out, HasSubstr("rel-1"));
  const nlohmann::json json = Run({"status", "--json"}).Json();
  EXPECT_EQ(json["agent"]["alive"], true);
  EXPECT_EQ(json["experiments"][0]["state"], "offered");
  EXPECT_EQ(json["progress"][0]["rounds"], 12);
  EXPECT_EQ(json["releases"][0]["state"], "verified");
  EXPECT_EQ(json["events"][0]["text"], "accepted");

  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(Run({"status", "--json"}).Json()["agent"]["alive"], false) << "silent for too long";
  ASSERT_TRUE(facts.SetFact("heartbeat_unix_ms", std::to_string(absl::ToUnixMillis(clock_.Now()))).ok());
  EXPECT_EQ(Run({"status", "--json"}).Json()["agent"]["alive"], true);
  ASSERT_TRUE(facts.SetFact("agent_pid", "").ok());
  EXPECT_EQ(Run({"status", "--json"}).Json()["agent"]["alive"], false) << "said goodbye";
}

TEST_F(DecisionsTest, CohortShowsBuildsAndSaysWhyItCannotBuild) {
  EXPECT_THAT(Run({"cohort"}).out, HasSubstr("cohort build TASK"));
  EXPECT_THAT(Run({"cohort", "show", "chest_pneumonia"}).err, HasSubstr("cohort build chest_pneumonia"));
  EXPECT_EQ(Run({"cohort", "show", "--json"}).Json(), nlohmann::json::array());
  const Shown unknown = Run({"cohort", "build", "chest_cancer", "--quiet"});
  EXPECT_EQ(unknown.status, kFailed);
  EXPECT_THAT(unknown.err, HasSubstr("known here: chest_pneumonia"));
  const Shown down = Run({"cohort", "build", "chest_pneumonia", "--quiet"});
  EXPECT_EQ(down.status, kFailed);
  EXPECT_THAT(down.err, HasSubstr("does not answer"));
  EXPECT_EQ(Run({"cohort", "build", "../../etc/passwd"}).status, kFailed);

  CohortBuildRow build;
  build.task = "chest_pneumonia";
  build.report = R"({"task": "chest_pneumonia", "found": 10, "patients": 7, "studies": {"USABLE": 8}})";
  build.built_unix_ms = 1;
  ASSERT_TRUE(store().cohorts().PutBuild(build).ok());
  EXPECT_THAT(Run({"cohort"}).out, HasSubstr("chest_pneumonia, built"));
  const nlohmann::json list = Run({"cohort", "show", "chest_pneumonia", "--json"}).Json();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["patients"], 7);
  EXPECT_EQ(list[0]["usable"], 8);
}

}  // namespace
}  // namespace cloister::site
