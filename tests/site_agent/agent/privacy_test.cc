// SPDX-License-Identifier: Apache-2.0
// An experiment with differential privacy at its sites: what is quoted, promised and spent, before what; kills, replays
// and a coordinator that asks for more than the plan.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/plan_epsilon.h"
#include "protocols/wire/message_bytes.h"
#include "tests/site_agent/agent/test_federation.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;

std::string PrivateExperiment(const std::string& name, double max_epsilon = 50) {
  return fmt::format(R"yaml(
experiment: {}
task: chest_pneumonia
model: {{architecture: resnet18_gn, init: he_normal, seed: 7}}
algorithm: {{name: fedavg, rounds: 2, local_epochs: 1, batch_size: 4, optimizer: {{name: sgd, lr: 0.1}}, seed: 5}}
sites: {{minimum: 3, maximum: 8, invitation: 1s, deadline: 1m}}
privacy:
  clip: 1.0
  weight_cap: 1000
  differential_privacy: {{unit: patient, noise_multiplier: 1.1, clip_norm: 1, delta: 1.0e-5, max_epsilon: {}}}
evaluation: {{tuning_share: 0.2, test_share: 0.3, histogram_bins: 20, split_seed: 1}}
gates:
  - {{metric: auc, at_least: 0.6, per_site: true, statistic: estimate}}
ensemble: {{members: 1, candidates_last: 2}}
)yaml",
                     name, max_epsilon);
}

PrivacyRow Ledger(SiteHarness& site, const JobId& job) {
  const auto row = site.store().privacy().Get(job);
  EXPECT_TRUE(row.ok() && row->has_value());
  return row.ok() && row->has_value() ? **row : PrivacyRow();
}

int TrainingPatients(SiteHarness& site, const JobId& job) {
  return TrainingPatientsOf(site.context().cohorts->Frozen(job).value());
}

double Epsilon(const TestFederation& federation, SiteHarness& site, int rounds) {
  return plan::EpsilonOfPlan(federation.plan, static_cast<uint64_t>(TrainingPatients(site, federation.job)), rounds)
      ->epsilon;
}

std::function<std::vector<wire::ModelRef>(size_t)> InitialModel(const TestFederation& federation) {
  return [&federation](size_t) {
    return std::vector<wire::ModelRef>{federation.GlobalModel(0, federation.plan.model.initial_model)};
  };
}

void SetPolicy(SiteHarness& site, const std::string& more) {
  site.policy += more;
  ASSERT_TRUE(WriteFileAtomically(site.config.policy, site.policy).ok());
}

// The text of the job.json of the site's newest training.
std::string NewestTraining(SiteHarness& site) {
  for (const auto& entry : std::filesystem::directory_iterator(site.config.data / "jobs")) {
    if (entry.path().filename().string().rfind("train-", 0) == 0) {
      return ReadFile(entry.path() / "job.json").value_or("");
    }
  }
  return "";
}

TEST(PrivacyTest, AcceptingPromisesAndEachRoundSpendsWhatTheAccountantSays) {
  TestFederation federation(PrivateExperiment("private"));
  ASSERT_TRUE(federation.Invite());
  for (auto& site : federation.sites) {
    const PrivacyRow row = Ledger(*site, federation.job);
    EXPECT_EQ(row.state, PrivacyState::kPromised);
    EXPECT_NEAR(row.epsilon, Epsilon(federation, *site, 2), 1e-9);
    EXPECT_EQ(row.training_patients, TrainingPatients(*site, federation.job));
    EXPECT_EQ(row.spent_epsilon, 0);
  }
  const auto total = federation.RunSum(wire::SumKind::kTrain, 1, 0, InitialModel(federation));
  const auto counters = plan::DecodeTrainCounters(total.counters);
  ASSERT_TRUE(counters.ok());
  EXPECT_EQ(counters->loss_sum, 0);  // the worker did say one
  for (auto& site : federation.sites) {
    EXPECT_EQ(Ledger(*site, federation.job).trainings, 1);
    EXPECT_NEAR(Ledger(*site, federation.job).spent_epsilon, Epsilon(federation, *site, 1), 1e-9);
    EXPECT_LT(Ledger(*site, federation.job).spent_epsilon, Ledger(*site, federation.job).epsilon);
  }
  federation.RunSum(wire::SumKind::kTrain, 2, 0, InitialModel(federation));
  for (auto& site : federation.sites) {
    EXPECT_EQ(Ledger(*site, federation.job).trainings, 2);
    EXPECT_NEAR(Ledger(*site, federation.job).spent_epsilon, Ledger(*site, federation.job).epsilon, 1e-9);
  }
  SiteHarness& site = *federation.sites[0];
  wire::ExperimentClosed closed;
  closed.job = federation.job;
  closed.phase = "aborted";
  site.Step(federation.job, {closed});
  EXPECT_EQ(Ledger(site, federation.job).state, PrivacyState::kEnded);
  EXPECT_GT(site.store().privacy().Total()->taken_epsilon, 0);
}

TEST(PrivacyTest, TheWorkerIsToldPatientsAndAKeyThatNobodyElseHas) {
  TestFederation federation(PrivateExperiment("private"));
  ASSERT_TRUE(federation.Invite());
  federation.RunSum(wire::SumKind::kTrain, 1, 0, InitialModel(federation));
  std::set<std::string> keys;
  for (auto& site : federation.sites) {
    const auto job = nlohmann::json::parse(NewestTraining(*site), nullptr, false);
    ASSERT_TRUE(job.is_object());
    EXPECT_EQ(job["privacy"]["noise_multiplier"], 1.1);
    EXPECT_EQ(job["privacy"]["clip_norm"], 1);
    keys.insert(job["privacy"]["key"].get<std::string>());
    std::set<int> patients;
    for (const auto& one : job["cases"]) {
      patients.insert(one["patient"].get<int>());
    }
    EXPECT_EQ(static_cast<int>(patients.size()), TrainingPatients(*site, federation.job));
    EXPECT_EQ(*patients.rbegin() + 1, static_cast<int>(patients.size()));
    for (const wire::SiteMessage& message : site->link.sent) {
      EXPECT_EQ(wire::SerializeSiteMessage(message).find(job["privacy"]["key"].get<std::string>()), std::string::npos);
    }
  }
  EXPECT_EQ(keys.size(), federation.sites.size());
}

// Every site is killed before every step, and one attempt is thrown away and made again: spent once, and the same key.
TEST(PrivacyTest, KilledAndAskedAgainItSpendsOnce) {
  TestFederation federation(PrivateExperiment("private"));
  ASSERT_TRUE(federation.Invite());
  const auto restart = [&](size_t i, wire::SumPhase) {
    federation.sites[i]->Kill();
    federation.sites[i]->Start();
  };
  federation.RunSum(wire::SumKind::kTrain, 1, 0, InitialModel(federation), restart);
  const std::string before = NewestTraining(*federation.sites[0]);
  for (auto& site : federation.sites) {
    EXPECT_EQ(Ledger(*site, federation.job).trainings, 1);
    EXPECT_EQ(site->Runs("train"), 1);
    EXPECT_NEAR(Ledger(*site, federation.job).spent_epsilon, Epsilon(federation, *site, 1), 1e-9);
  }
  EXPECT_EQ(NewestTraining(*federation.sites[0]), before);
}

TEST(PrivacyTest, TrainingFromAnotherModelIsAnotherTrainingWithAnotherKey) {
  const Digest plan = crypto::Sha256("plan"), cohort = crypto::Sha256("cohort"), model = crypto::Sha256("model");
  const Digest training = TrainingDigest(plan, cohort, 1, model);
  EXPECT_EQ(training, TrainingDigest(plan, cohort, 1, model));
  const crypto::SecretBytes secret = crypto::SecretBytes::CopyOf(std::string(32, 'j'));
  std::set<Digest> trainings = {training};
  std::set<Bytes> keys = {Bytes(NoiseKey(secret, training).view())};
  for (const Digest& other : {TrainingDigest(plan, cohort, 2, model), TrainingDigest(plan, cohort, 1, plan),
                              TrainingDigest(plan, model, 1, model), TrainingDigest(cohort, cohort, 1, model)}) {
    EXPECT_TRUE(trainings.insert(other).second);
    EXPECT_TRUE(keys.insert(Bytes(NoiseKey(secret, other).view())).second);
  }
  EXPECT_TRUE(keys.insert(Bytes(NoiseKey(crypto::SecretBytes::CopyOf(std::string(32, 'k')), training).view())).second);
}

TEST(PrivacyTest, NothingIsTrainedWhenTheLedgerSaysNo) {
  TestFederation federation(PrivateExperiment("private"));
  ASSERT_TRUE(federation.Invite());
  SiteHarness& site = *federation.sites[0];
  SetPolicy(site, "differential_privacy: {max_epsilon: 0.01, delta: 1.0e-4}\n");  // lowered since it accepted
  wire::SumStep step;
  step.job = federation.job;
  step.kind = wire::SumKind::kTrain;
  step.round = 1;
  step.phase = wire::SumPhase::kAdvertise;
  step.models = {federation.GlobalModel(0, federation.plan.model.initial_model)};
  site.Step(federation.job, {step});
  EXPECT_EQ(site.Runs("train"), 0);
  EXPECT_EQ(Ledger(site, federation.job).trainings, 0);
  ASSERT_NE(site.Last<wire::SiteFailure>(), nullptr);
}

TEST(PrivacyTest, NoBaselineLeavesWhateverThePolicyShares) {
  TestFederation federation(PrivateExperiment("private"));
  ASSERT_TRUE(federation.Invite());
  const wire::BaselineTask task = federation.BaselineItem();
  for (auto& site : federation.sites) {
    site->Step(federation.job, {task});
    ASSERT_NE(site->Last<wire::BaselineReady>(), nullptr);
    EXPECT_FALSE(site->Last<wire::BaselineReady>()->blob.has_value());
    EXPECT_TRUE(site->link.uploaded.empty());
    EXPECT_EQ(Ledger(*site, federation.job).trainings, 0);  // it stays here: nothing is spent
  }
}

// The second experiment on the same patients, in the eyes of a person who has not decided yet.
TEST(PrivacyTest, AnOfferIsQuotedBeforeApprovalAndRefusedWithTheNumbersWhenTooMuch) {
  TestFederation first(PrivateExperiment("private"));
  ASSERT_TRUE(first.Invite());
  SiteHarness& site = *first.sites[0];
  const double taken = Ledger(site, first.job).epsilon;

  TestFederation second(PrivateExperiment("private-2"));
  const JobId job = JobId::Parse("job-2").value();
  second.job = job;
  wire::ExperimentOffer offer;
  offer.job = job;
  const crypto::Signer& sponsor = first.pki.an_operator();
  offer.plan = {second.plan_document, sponsor.Sign(plan::kPlanDomain, second.plan_document),
                sponsor.certificate().der()};
  const auto refusal = [&] {
    const auto* answer = site.Last<wire::ExperimentAnswer>();
    return answer != nullptr && answer->refusal ? *answer->refusal : wire::RefusalReason{};
  };
  site.policy.replace(site.policy.find("automatic"), 9, "manual");
  SetPolicy(site, fmt::format("differential_privacy: {{max_epsilon: {}, delta: 1.0e-4}}\n", 2 * taken - 0.01));
  site.Step(job, {offer});
  EXPECT_EQ(refusal(), wire::RefusalReason::kDifferentialPrivacy);
  const ExperimentRow refused = site.store().experiments().Get(job).value();
  EXPECT_THAT(refused.detail, HasSubstr(fmt::format("asks for epsilon {:.3g}", taken)));
  EXPECT_THAT(refused.detail, HasSubstr("are left"));

  site.policy.erase(site.policy.find("differential_privacy"));
  SetPolicy(site, fmt::format("differential_privacy: {{max_epsilon: {}, delta: 1.0e-4}}\n", 2 * taken + 0.01));
  site.Step(job, {offer});
  EXPECT_EQ(refusal(), wire::RefusalReason::kNotApproved);
  // The cohort is that of the first: as many patients, so the same epsilon, known before anybody approves.
  EXPECT_EQ(Ledger(site, job).state, PrivacyState::kQuoted);
  EXPECT_NEAR(Ledger(site, job).epsilon, taken, 1e-9);
  EXPECT_NEAR(site.store().privacy().Total()->taken_epsilon, taken, 1e-9);

  ApprovalRow approval;
  approval.job = job;
  approval.plan_digest = crypto::Sha256(second.plan_document);
  approval.decision = ApprovalDecision::kApproved;
  approval.person = "Engineer";
  ASSERT_TRUE(site.store().experiments().AddApproval(approval).ok());
  site.Step(job, {offer});
  ASSERT_TRUE(site.Last<wire::ExperimentAnswer>()->acceptance.has_value());
  EXPECT_NEAR(site.store().privacy().Total()->taken_epsilon, 2 * taken, 1e-9);
}

TEST(PrivacyTest, APlanThatWouldCostMoreThanItAllowsIsRefused) {
  TestFederation federation(PrivateExperiment("private", 0.5));
  SiteHarness& site = *federation.sites[0];
  site.Step(federation.job, {federation.Offer()});
  ASSERT_NE(site.Last<wire::ExperimentAnswer>(), nullptr);
  EXPECT_EQ(site.Last<wire::ExperimentAnswer>()->refusal, wire::RefusalReason::kDifferentialPrivacy);
  EXPECT_THAT(site.store().experiments().Get(federation.job)->detail, HasSubstr("and the plan allows 0.5"));
  EXPECT_EQ(site.store().privacy().Total()->taken_epsilon, 0);
}

TEST(PrivacyTest, WherePrivacyIsRequiredAPlanWithoutItIsRefused) {
  TestFederation federation;
  SiteHarness& site = *federation.sites[0];
  SetPolicy(site, "differential_privacy: {max_epsilon: 8, delta: 1.0e-4, require: true}\n");
  site.Step(federation.job, {federation.Offer()});
  EXPECT_EQ(site.Last<wire::ExperimentAnswer>()->refusal, wire::RefusalReason::kDifferentialPrivacy);
}

}  // namespace
}  // namespace cloister::site
