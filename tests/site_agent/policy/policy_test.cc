// SPDX-License-Identifier: Apache-2.0
#include "site_agent/policy/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace cloister::site {
namespace {

using ::testing::HasSubstr;

const absl::Time kNoon = absl::FromCivil(absl::CivilSecond(2026, 3, 1, 12, 0, 0), absl::UTCTimeZone());

Policy Permissive() {
  Policy policy;
  policy.allowed_tasks = {"chest_pneumonia"};
  policy.minimum_cohort = 30;
  policy.minimum_sites = 3;
  policy.approval = Approval::kAutomatic;
  return policy;
}

plan::Experiment Plan() {
  plan::Experiment plan;
  plan.task.name = "chest_pneumonia";
  plan.model.architecture = "resnet18";
  plan.sites.minimum = 3;
  plan.privacy.secure_aggregation = "required";
  return plan;
}

Facts GoodFacts() {
  Facts facts;
  facts.label_file_configured = true;
  facts.patients = 100;
  facts.architectures = {"resnet18"};
  return facts;
}

std::string Answer(const Policy& policy, const plan::Experiment& plan, const Facts& facts, absl::Time now = kNoon) {
  const Decision decision = Decide(policy, plan, facts, now, absl::UTCTimeZone());
  return decision.accepted() ? "ACCEPTED" : std::string(RefusalName(*decision.refusal));
}

TEST(PolicyTest, ReadsEveryKey) {
  const auto policy = ParsePolicy(
      "allowed_tasks: [chest_pneumonia]\n"
      "minimum_cohort: 12\n"
      "minimum_sites: 4\n"
      "secure_aggregation: required\n"
      "approval: automatic\n"
      "hours: {from: \"18:30\", to: \"07:00\"}\n"
      "share_local_baseline: sealed\n"
      "serving: allowed\n"
      "differential_privacy: {max_epsilon: 8, delta: 1.0e-4, require: true}\n"
      "release_gate: {minimum_auc: 0.7, require_decided: true}\n",
      "policy.yaml");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->allowed_tasks, std::vector<std::string>{"chest_pneumonia"});
  EXPECT_EQ(policy->minimum_cohort, 12);
  EXPECT_EQ(policy->minimum_sites, 4);
  EXPECT_EQ(policy->approval, Approval::kAutomatic);
  EXPECT_EQ(policy->hours.from_minute, 18 * 60 + 30);
  EXPECT_EQ(policy->hours.to_minute, 7 * 60);
  EXPECT_EQ(policy->share_local_baseline, BaselineSharing::kSealed);
  EXPECT_TRUE(policy->serving_allowed);
  EXPECT_DOUBLE_EQ(policy->minimum_auc, 0.7);
  EXPECT_TRUE(policy->require_decided_gate);
  ASSERT_TRUE(policy->differential_privacy.has_value());
  EXPECT_EQ(policy->differential_privacy->max_epsilon, 8);
  EXPECT_EQ(policy->differential_privacy->delta, 1e-4);
  EXPECT_TRUE(policy->differential_privacy->require);
}

TEST(PolicyTest, AnEmptyFileAllowsNothing) {
  const auto policy = ParsePolicy("{}\n", "policy.yaml");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_FALSE(policy->serving_allowed);
  EXPECT_EQ(policy->approval, Approval::kManual);
  EXPECT_EQ(policy->share_local_baseline, BaselineSharing::kNever);
  EXPECT_EQ(Answer(*policy, Plan(), GoodFacts()), "TASK_NOT_ALLOWED");
}

TEST(PolicyTest, NamesTheLineOfAMistake) {
  const auto policy = ParsePolicy("allowed_tasks: [x]\napprovel: manual\n", "policy.yaml");
  EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(policy.status().message()), HasSubstr("policy.yaml:2"));
  for (const char* hours :
       {"hours: {from: \"25:00\"}", "hours: {to: \"7:00\"}", "hours: {to: \"24:01\"}", "hours: {from: \"ab:cd\"}",
        "minimum_sites: 2", "secure_aggregation: optional", "differential_privacy: {}",
        "differential_privacy: {max_epsilon: 8}", "differential_privacy: {max_epsilon: -1, delta: 1.0e-5}",
        "differential_privacy: {max_epsilon: .inf, delta: 1.0e-5}", "differential_privacy: {max_epsilon: 8, delta: 0}",
        "differential_privacy: {max_epsilon: 8, delta: 1.0e-5, required: true}"}) {
    EXPECT_FALSE(ParsePolicy(std::string(hours) + "\n", "policy.yaml").ok()) << hours;
  }
}

TEST(PolicyTest, EachRuleRefusesWithItsReason) {
  EXPECT_EQ(Answer(Permissive(), Plan(), GoodFacts()), "ACCEPTED");

  Policy policy = Permissive();
  plan::Experiment plan = Plan();
  Facts facts = GoodFacts();

  plan.task.name = "bone_age";
  EXPECT_EQ(Answer(policy, plan, facts), "TASK_NOT_ALLOWED");
  plan = Plan();
  plan.privacy.secure_aggregation = "off";
  EXPECT_EQ(Answer(policy, plan, facts), "SECURE_AGGREGATION_REQUIRED");
  plan = Plan();
  policy.minimum_sites = 4;
  EXPECT_EQ(Answer(policy, plan, facts), "MINIMUM_SITES_TOO_LOW");
  policy.minimum_sites = 0;
  plan.sites.minimum = 2;  // a hard floor whatever the file says
  EXPECT_EQ(Answer(policy, plan, facts), "MINIMUM_SITES_TOO_LOW");
  policy = Permissive();
  plan = Plan();
  plan.model.architecture = "vgg";
  EXPECT_EQ(Answer(policy, plan, facts), "UNSUPPORTED_MODEL");
  plan = Plan();
  facts.label_file_configured = false;
  EXPECT_EQ(Answer(policy, plan, facts), "NO_COHORT");
  facts = GoodFacts();
  facts.patients = 0;
  EXPECT_EQ(Answer(policy, plan, facts), "NO_COHORT");
  facts.patients = 29;
  EXPECT_EQ(Answer(policy, plan, facts), "COHORT_TOO_SMALL");
  facts.patients = 30;
  EXPECT_EQ(Answer(policy, plan, facts), "ACCEPTED");
  facts.patients.reset();
  EXPECT_EQ(Answer(policy, plan, facts), "ACCEPTED");
}

TEST(PolicyTest, APersonDecidesWhereApprovalIsManual) {
  Policy policy = Permissive();
  policy.approval = Approval::kManual;
  Facts facts = GoodFacts();
  EXPECT_EQ(Answer(policy, Plan(), facts), "NOT_APPROVED");
  facts.person = PersonsWord::kApproved;
  EXPECT_EQ(Answer(policy, Plan(), facts), "ACCEPTED");
  facts.person = PersonsWord::kDeclined;
  EXPECT_EQ(Answer(policy, Plan(), facts), "DECLINED");
  EXPECT_EQ(Answer(Permissive(), Plan(), facts), "DECLINED");
}

std::string Detail(const Policy& policy, const plan::Experiment& plan, const Facts& facts) {
  return Decide(policy, plan, facts, kNoon, absl::UTCTimeZone()).detail;
}

TEST(PolicyTest, DifferentialPrivacyMayBeRequired) {
  Policy policy = Permissive();
  policy.differential_privacy = PrivacyLimit{8, 1e-4, false};
  EXPECT_EQ(Answer(policy, Plan(), GoodFacts()), "ACCEPTED");
  policy.differential_privacy->require = true;
  policy.approval = Approval::kManual;  // nobody need look at what is refused
  EXPECT_EQ(Answer(policy, Plan(), GoodFacts()), "DIFFERENTIAL_PRIVACY");
}

TEST(PolicyTest, APlanThatCostsTooMuchPrivacyIsRefusedBeforeApprovalWithTheNumbers) {
  Policy policy = Permissive();
  policy.approval = Approval::kManual;
  plan::Experiment plan = Plan();
  plan.privacy.differential_privacy = plan::DifferentialPrivacy{plan::kPatientUnit, 1.1, 1, 1e-5, 4};
  Facts facts = GoodFacts();
  EXPECT_EQ(Answer(policy, plan, facts), "DIFFERENTIAL_PRIVACY");  // not computed
  const auto asks = [&](double epsilon, double taken) {
    plan::PlanEpsilon asked;
    asked.epsilon = epsilon;
    asked.delta = 1e-5;
    facts.privacy = PrivacyFacts{asked, taken, 3e-5};
    return Answer(policy, plan, facts);
  };
  EXPECT_EQ(asks(4, 100), "NOT_APPROVED");  // without a limit of the site's own, the plan's counts
  EXPECT_EQ(asks(4.1, 0), "DIFFERENTIAL_PRIVACY");
  EXPECT_THAT(Detail(policy, plan, facts), HasSubstr("would cost epsilon 4.1, and the plan allows 4"));
  EXPECT_EQ(asks(std::numeric_limits<double>::infinity(), 0), "DIFFERENTIAL_PRIVACY");
  EXPECT_EQ(asks(std::numeric_limits<double>::quiet_NaN(), 0), "DIFFERENTIAL_PRIVACY");

  policy.differential_privacy = PrivacyLimit{8, 4e-5, true};
  EXPECT_EQ(asks(3, 5), "NOT_APPROVED");
  EXPECT_EQ(asks(3, 5.5), "DIFFERENTIAL_PRIVACY");
  EXPECT_THAT(Detail(policy, plan, facts),
              HasSubstr("asks for epsilon 3; of this site's 8, 5.5 are spent or promised and 2.5 are left"));
  policy.differential_privacy->delta = 3.5e-5;
  EXPECT_EQ(asks(3, 0), "DIFFERENTIAL_PRIVACY");
  EXPECT_THAT(Detail(policy, plan, facts), HasSubstr("delta"));
  facts.privacy->asked = absl::UnimplementedError("there is no accountant for the unit site");
  EXPECT_EQ(Answer(policy, plan, facts), "DIFFERENTIAL_PRIVACY");
  EXPECT_THAT(Detail(policy, plan, facts), HasSubstr("no accountant"));
}

TEST(PolicyTest, AnApprovalDoesNotOverrideTheFile) {
  Policy policy = Permissive();
  policy.allowed_tasks.clear();
  Facts facts = GoodFacts();
  facts.person = PersonsWord::kApproved;
  EXPECT_EQ(Answer(policy, Plan(), facts), "TASK_NOT_ALLOWED");
}

TEST(PolicyTest, HoursMayGoOverMidnight) {
  Policy policy = Permissive();
  policy.hours = {18 * 60, 7 * 60};
  EXPECT_EQ(Answer(policy, Plan(), GoodFacts(), kNoon), "OUTSIDE_HOURS");
  EXPECT_EQ(Answer(policy, Plan(), GoodFacts(), kNoon + absl::Hours(6)), "ACCEPTED");
  EXPECT_EQ(Answer(policy, Plan(), GoodFacts(), kNoon + absl::Hours(18)), "ACCEPTED");
  EXPECT_EQ(Answer(policy, Plan(), GoodFacts(), kNoon + absl::Hours(19)), "OUTSIDE_HOURS");
  policy.hours = {8 * 60, 17 * 60};
  EXPECT_EQ(Answer(policy, Plan(), GoodFacts(), kNoon), "ACCEPTED");
  EXPECT_EQ(Answer(policy, Plan(), GoodFacts(), kNoon + absl::Hours(5)), "OUTSIDE_HOURS");
  // The site's own clock counts, not UTC.
  EXPECT_TRUE(WithinHours({20 * 60, 21 * 60}, kNoon, absl::FixedTimeZone(8 * 3600)));
}

}  // namespace
}  // namespace cloister::site
