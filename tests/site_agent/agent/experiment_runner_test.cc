// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/experiment_runner.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "eval/federated/site_summary.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/site_privacy.h"
#include "protocols/secagg/graph_seed.h"
#include "protocols/secagg/messages.h"
#include "protocols/update/quantizer.h"
#include "protocols/wire/message_bytes.h"
#include "site_agent/storage/decisions.h"
#include "tests/site_agent/agent/test_federation.h"
#include "tests/support/bad_shares.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::function<std::vector<wire::ModelRef>(size_t)> Always(const wire::ModelRef& model) {
  return [model](size_t) { return std::vector<wire::ModelRef>{model}; };
}

wire::RefusalReason RefusalOf(SiteHarness& site) {
  const wire::ExperimentAnswer* answer = site.Last<wire::ExperimentAnswer>();
  return answer != nullptr && answer->refusal ? *answer->refusal : wire::RefusalReason{};
}

TEST(ExperimentRunnerTest, AnOfferIsVerifiedThenAccepted) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  SiteHarness& site = *federation.sites[0];
  const wire::SignedDocument& acceptance = *site.Last<wire::ExperimentAnswer>()->acceptance;
  EXPECT_TRUE(crypto::VerifySignature(acceptance.certificate, federation.pki.ca(), plan::kAcceptanceDomain,
                                      acceptance.document, acceptance.signature, crypto::Role::kSite,
                                      federation.clock.Now())
                  .ok());
  EXPECT_EQ(plan::ParseAcceptance(acceptance.document)->plan, federation.plan_digest);
  EXPECT_EQ(site.Runs("prepare"), 1);
  // Asked again after a restart, it says the same.
  const wire::SignedDocument before = acceptance;
  site.Kill();
  site.Start();
  site.Step(federation.job, {federation.Offer()});
  EXPECT_EQ(*site.Last<wire::ExperimentAnswer>()->acceptance, before);
  EXPECT_EQ(site.Runs("prepare"), 1);
}

TEST(ExperimentRunnerTest, AForgedOfferIsRefused) {
  TestFederation federation;
  SiteHarness& site = *federation.sites[0];
  wire::ExperimentOffer offer = federation.Offer();
  const crypto::Signer& other = federation.pki.site(2);  // of the consortium, but not an operator
  offer.plan.signature = other.Sign(plan::kPlanDomain, offer.plan.document);
  offer.plan.certificate = other.certificate().der();
  site.Step(federation.job, {offer});
  EXPECT_EQ(RefusalOf(site), wire::RefusalReason::kSignatureInvalid);
  EXPECT_EQ(site.Runs("prepare"), 0);
}

TEST(ExperimentRunnerTest, AnAlteredPlanIsRefused) {
  TestFederation federation;
  wire::ExperimentOffer offer = federation.Offer();
  offer.plan.document += " ";
  offer.plan.signature = federation.pki.an_operator().Sign(plan::kPlanDomain, offer.plan.document);
  federation.sites[0]->Step(federation.job, {offer});
  EXPECT_EQ(RefusalOf(*federation.sites[0]), wire::RefusalReason::kPlanInvalid);
}

TEST(ExperimentRunnerTest, WaitsForAPersonWhereThePolicySaysSo) {
  TestFederation federation;
  SiteHarness& site = *federation.sites[0];
  site.Kill();
  site.policy += "approval: manual\n";
  site.policy.erase(site.policy.find("approval: automatic\n"), strlen("approval: automatic\n"));
  site.Start();
  site.Step(federation.job, {federation.Offer()});
  EXPECT_EQ(RefusalOf(site), wire::RefusalReason::kNotApproved);
  EXPECT_EQ(site.pacs.retrieved, 0);  // nothing was even fetched
  const size_t said = site.link.sent.size();
  site.Step(federation.job, {federation.Offer()});
  EXPECT_EQ(site.link.sent.size(), said);  // and it is not said again and again

  ApprovalRow approval;
  approval.job = federation.job;
  approval.plan_digest = federation.plan_digest;
  approval.decision = ApprovalDecision::kApproved;
  approval.person = "Engineer";
  ASSERT_TRUE(site.store().experiments().AddApproval(approval).ok());
  site.Step(federation.job, {federation.Offer()});
  EXPECT_TRUE(site.Last<wire::ExperimentAnswer>()->acceptance.has_value());
}

TEST(ExperimentRunnerTest, AcceptsWhatItRefusedOnceTheHoursBeginOrThePolicyChanges) {
  TestFederation federation;
  SiteHarness& site = *federation.sites[0];
  site.Kill();
  const auto half_an_hour_from = [](absl::CivilHour begin) {
    return fmt::format("hours: {{from: \"{:02}:00\", to: \"{:02}:30\"}}\n", begin.hour(), begin.hour());
  };
  const absl::CivilHour begins = absl::ToCivilHour(federation.clock.Now(), absl::LocalTimeZone()) + 1;
  const std::string policy = site.policy;
  site.policy += half_an_hour_from(begins);
  site.Start();
  site.Step(federation.job, {federation.Offer()});
  EXPECT_EQ(RefusalOf(site), wire::RefusalReason::kOutsideHours);
  federation.clock.Advance(absl::FromCivil(begins, absl::LocalTimeZone()) - federation.clock.Now());
  site.Step(federation.job, {federation.Offer()});
  EXPECT_TRUE(site.Last<wire::ExperimentAnswer>()->acceptance.has_value());

  SiteHarness& strict = *federation.sites[1];
  ASSERT_TRUE(WriteFileAtomically(strict.config.policy, policy + half_an_hour_from(begins + 2)).ok());
  strict.Step(federation.job, {federation.Offer()});
  EXPECT_EQ(RefusalOf(strict), wire::RefusalReason::kOutsideHours);
  ASSERT_TRUE(WriteFileAtomically(strict.config.policy, policy).ok());
  strict.Step(federation.job, {federation.Offer()});
  EXPECT_TRUE(strict.Last<wire::ExperimentAnswer>()->acceptance.has_value());
}

TEST(ExperimentRunnerTest, ADatabaseThatIsNotWellRefusesNothing) {
  TestFederation federation;
  SiteHarness& site = *federation.sites[0];
  ASSERT_TRUE(site.store().database().Execute("PRAGMA query_only = 1").ok());
  site.Step(federation.job, {federation.Offer()});
  EXPECT_EQ(site.Last<wire::ExperimentAnswer>(), nullptr);
  ASSERT_TRUE(site.store().database().Execute("PRAGMA query_only = 0").ok());
  site.Step(federation.job, {federation.Offer()});
  ASSERT_NE(site.Last<wire::ExperimentAnswer>(), nullptr);
  EXPECT_TRUE(site.Last<wire::ExperimentAnswer>()->acceptance.has_value());
}

// The same sums once more, over one site fewer, would tell that site's: an approval is about one job.
TEST(ExperimentRunnerTest, APlanIsRunASecondTimeOnlyAfterAnotherApproval) {
  for (const bool manual : {true, false}) {
    SCOPED_TRACE(manual ? "manual" : "automatic");
    TestFederation federation;
    SiteHarness& site = *federation.sites[0];
    site.Kill();
    if (manual) {
      site.policy.replace(site.policy.find("automatic"), strlen("automatic"), "manual");
    }
    site.Start();
    const auto decide = [&](const std::string& job, ApprovalDecision decision) {
      ApprovalRow row;
      row.job = JobId::Parse(job).value();
      row.plan_digest = federation.plan_digest;
      row.decision = decision;
      row.person = "Engineer";
      const absl::Status decided = DecideExperiment(&site.store(), row, "uid:0");
      ASSERT_TRUE(decided.ok()) << decided;
    };
    const auto accepts = [&](const std::string& job) {
      federation.job = JobId::Parse(job).value();
      site.Step(federation.job, {federation.Offer()});
      const wire::ExperimentAnswer* answer = site.Last<wire::ExperimentAnswer>();
      return answer != nullptr && answer->job == federation.job && answer->acceptance.has_value();
    };
    EXPECT_EQ(accepts("job-1"), !manual);
    decide("job-1", ApprovalDecision::kApproved);
    EXPECT_TRUE(accepts("job-1"));

    EXPECT_FALSE(accepts("job-2"));
    EXPECT_EQ(RefusalOf(site), wire::RefusalReason::kNotApproved);
    decide("job-1", ApprovalDecision::kApproved);  // said twice, still about the first job
    site.Kill();
    site.Start();
    EXPECT_FALSE(accepts("job-2"));
    EXPECT_TRUE(accepts("job-1")) << "asked again, it says the same";

    ASSERT_TRUE(site.store().experiments().SetClosed(JobId::Parse("job-1").value(), "released", "").ok());
    EXPECT_FALSE(accepts("job-2"));
    decide("job-2", ApprovalDecision::kApproved);  // the honest second run
    EXPECT_TRUE(accepts("job-2"));
    EXPECT_FALSE(accepts("job-3"));
    decide("job-3", ApprovalDecision::kDeclined);
    EXPECT_FALSE(accepts("job-3"));
    EXPECT_EQ(RefusalOf(site), wire::RefusalReason::kDeclined);
    EXPECT_FALSE(accepts("job-4"));
    EXPECT_EQ(RefusalOf(site), wire::RefusalReason::kNotApproved);
  }
}

TEST(ExperimentRunnerTest, ASmallCohortIsRefusedAndAPacsThatIsDownIsWaitedFor) {
  TestFederation federation;
  SiteHarness& small = *federation.sites[0];
  small.Kill();
  small.policy.replace(small.policy.find("minimum_cohort: 1"), strlen("minimum_cohort: 1"), "minimum_cohort: 4000");
  small.Start();
  small.Step(federation.job, {federation.Offer()});
  EXPECT_EQ(RefusalOf(small), wire::RefusalReason::kCohortTooSmall);

  SiteHarness& down = *federation.sites[1];
  down.pacs.down = absl::PermissionDeniedError("the PACS refuses the AE title CLOISTER: list it there");
  down.Step(federation.job, {federation.Offer()});
  EXPECT_EQ(down.Last<wire::ExperimentAnswer>(), nullptr);
  EXPECT_THAT(down.store().experiments().Get(federation.job)->detail, HasSubstr("refuses the AE title"));
  down.pacs.down = absl::OkStatus();
  federation.clock.Advance(absl::Minutes(1));
  down.Step(federation.job, {federation.Offer()});
  ASSERT_NE(down.Last<wire::ExperimentAnswer>(), nullptr);
  EXPECT_TRUE(down.Last<wire::ExperimentAnswer>()->acceptance.has_value());
}

TEST(ExperimentRunnerTest, ARoundAddsUpTheUpdates) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  const auto total = federation.RunSum(wire::SumKind::kTrain, 1, 0,
                                       Always(federation.GlobalModel(0, federation.plan.model.initial_model)));
  const auto counters = plan::DecodeTrainCounters(total.counters);
  ASSERT_TRUE(counters.ok());
  uint64_t samples = 0;
  double expected = 0;  // the fake worker moves every weight by a step that follows from its cases
  double weights = 0;
  for (auto& site : federation.sites) {
    const FrozenCohort cohort = site->context().cohorts->Frozen(federation.job).value();
    const auto train = cohort.Of(CohortSplit::kTrain);
    const double positives =
        static_cast<double>(std::count_if(train.begin(), train.end(), [](const auto* one) { return one->positive; }));
    const double omega = static_cast<double>(train.size()) / 1000;
    expected += omega * (0.01 * positives / static_cast<double>(train.size()) + 0.001);
    weights += omega;
    samples += train.size();
    EXPECT_EQ(site->Runs("train"), 1);
  }
  EXPECT_EQ(counters->samples, samples);
  EXPECT_NEAR(update::SumOfOmega(counters->weight), weights, 1e-6);
  const update::QuantPlan quantizer =
      update::QuantPlan::Choose(static_cast<uint32_t>(federation.plan.sites.maximum), federation.plan.privacy.clip)
          .value();
  std::vector<int64_t> sum;
  for (const uint32_t value : total.update) sum.push_back(static_cast<int32_t>(value));
  std::vector<float> mean(sum.size());
  ASSERT_TRUE(
      update::DequantizeMean(quantizer, 0, sum, update::SumOfOmega(counters->weight), absl::MakeSpan(mean)).ok());
  for (size_t i = 0; i < mean.size(); i += 97) {
    EXPECT_NEAR(mean[i], expected / weights, 1e-5);  // float32 weights around 0.1 carry 1e-8, rounding 1e-6
  }
}

TEST(ExperimentRunnerTest, TheRingAndTheClipsAreThePlans) {
  TestFederation federation;
  federation.plan.privacy.ring_bits = 24;
  federation.plan.privacy.clip = 100;  // of no tensor
  federation.plan.privacy.tensor_clips = {{"*", 0.05}};
  federation.Freeze();
  ASSERT_TRUE(federation.Invite());
  const auto total = federation.RunSum(wire::SumKind::kTrain, 1, 0,
                                       Always(federation.GlobalModel(0, federation.plan.model.initial_model)));
  const auto counters = plan::DecodeTrainCounters(total.counters);
  ASSERT_TRUE(counters.ok());
  const double weights = update::SumOfOmega(counters->weight);
  const update::QuantPlan quantizer =
      update::QuantPlan::Choose(static_cast<uint32_t>(federation.plan.sites.maximum), 0.05, 24).value();
  double expected = 0;  // the fake worker moves every weight by the same
  for (auto& site : federation.sites) {
    const FrozenCohort cohort = site->context().cohorts->Frozen(federation.job).value();
    const auto train = cohort.Of(CohortSplit::kTrain);
    const double positives =
        static_cast<double>(std::count_if(train.begin(), train.end(), [](const auto* one) { return one->positive; }));
    expected += 0.01 * positives / 1000 + 0.001 * static_cast<double>(train.size()) / 1000;
  }
  std::vector<int64_t> sum;
  for (const uint32_t value : total.update) sum.push_back(static_cast<int32_t>(value << 8) >> 8);
  std::vector<float> mean(sum.size());
  ASSERT_TRUE(update::DequantizeMean(quantizer, 0, sum, weights, absl::MakeSpan(mean)).ok());
  for (const float value : mean) ASSERT_NEAR(value, expected / weights, 3 * quantizer.step() / weights + 1e-7);
}

TEST(ExperimentRunnerTest, WithPrivacyOfSitesTheSumIsNoisyAndTellsNoCounts) {
  TestFederation federation;
  federation.plan.privacy.differential_privacy = plan::DifferentialPrivacy{plan::kSiteUnit, 2, 0.01, 1e-5, 100};
  federation.Freeze();
  ASSERT_TRUE(federation.Invite());
  const auto total = federation.RunSum(wire::SumKind::kTrain, 1, 0,
                                       Always(federation.GlobalModel(0, federation.plan.model.initial_model)));
  const auto counters = plan::DecodeTrainCounters(total.counters);
  ASSERT_TRUE(counters.ok());
  EXPECT_EQ(counters->samples, 0u);
  EXPECT_EQ(counters->batches, 0u);
  EXPECT_EQ(counters->loss_sum, 0);
  EXPECT_EQ(counters->weight, 3 * update::Weight::kOne) << "as many as took part, which is no secret";
  const plan::SiteNoise noise = plan::SiteNoiseOf(federation.plan).value();
  double squares = 0;
  for (const uint32_t value : total.update) squares += std::pow(static_cast<int32_t>(value), 2);
  const auto n = static_cast<double>(total.update.size());
  // Three shares; the updates add 3 * 0.01 * scale to the norm at most.
  const double shares = 3 * static_cast<double>(noise.variance);
  const double updates = std::pow(3 * noise.most_norm, 2) / n;
  EXPECT_LT(std::abs(squares / n - shares), 5 * shares * std::sqrt(2 / n) + updates + 2 * std::sqrt(shares * updates));
}

// Killed before every step, with what it was about to send lost once: the same bytes, and nothing is trained twice.
TEST(ExperimentRunnerTest, ARoundStartsFromTheSameModelWhenTheOneBeforeWasSkipped) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  const auto model = Always(federation.GlobalModel(0, federation.plan.model.initial_model));
  federation.RunSum(wire::SumKind::kTrain, 1, 0, model);
  const auto total = federation.RunSum(wire::SumKind::kTrain, 2, 0, model);
  EXPECT_TRUE(plan::DecodeTrainCounters(total.counters).ok());
  for (auto& site : federation.sites) {
    EXPECT_EQ(site->Runs("train"), 2);
    EXPECT_EQ(site->Last<wire::SiteFailure>(), nullptr);
  }
}

TEST(ExperimentRunnerTest, KilledAtEveryStepItSaysTheSame) {
  std::vector<Bytes> said[2];
  TestFederation::Total totals[2];
  for (int run = 0; run < 2; ++run) {
    TestFederation federation;
    // The same secrets in both runs, as on the same machine.
    for (auto& site : federation.sites) {
      site->Kill();
      ASSERT_TRUE(MakeDirectories(site->config.data / "secrets").ok());
      ASSERT_TRUE(WriteFileAtomically(site->config.data / "secrets" / "site.secret", Bytes(32, 's')).ok());
      ASSERT_TRUE(WriteFileAtomically(site->config.data / "secrets" / "job-1.secret", Bytes(32, 'j')).ok());
      site->Start();
    }
    ASSERT_TRUE(federation.Invite());
    const auto model = federation.GlobalModel(0, federation.plan.model.initial_model);
    totals[run] = federation.RunSum(wire::SumKind::kTrain, 1, 0, Always(model), [&](size_t i, wire::SumPhase phase) {
      if (run == 0) {
        return;
      }
      SiteHarness& site = *federation.sites[i];
      site.Kill();
      site.Start();
      if (phase == wire::SumPhase::kMask) {  // dies while the masked vectors are on their way
        wire::SumStep step;
        site.link.cut = true;
        (void)step;
      }
      site.link.cut = false;
    });
    for (auto& site : federation.sites) {
      EXPECT_EQ(site->Runs("train"), 1);
      EXPECT_EQ(site->Runs("prepare"), 1);
      EXPECT_FALSE(site->store().audit().Verify()->has_value());
    }
  }
  EXPECT_EQ(totals[0].update, totals[1].update);
  EXPECT_EQ(totals[0].counters, totals[1].counters);
}

// What a site was about to send when it died was stored before: after the restart it sends the same bytes.
TEST(ExperimentRunnerTest, AReplyThatWasLostOnTheWayIsSentAgain) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  const auto model = federation.GlobalModel(0, federation.plan.model.initial_model);
  SiteHarness& site = *federation.sites[1];
  std::map<wire::SumPhase, Bytes> first;
  const auto total = federation.RunSum(wire::SumKind::kTrain, 1, 0, Always(model), [&](size_t i, wire::SumPhase) {
    if (i != 1) {
      return;
    }
    site.Kill();
    site.Start();
  });
  ASSERT_FALSE(total.update.empty());
  // Everything it said is still stored, and is said again when asked.
  const SumKey key = {federation.job, static_cast<int>(wire::SumKind::kTrain), 1, 0};
  const auto rows = site.store().sums().Messages(key).value();
  ASSERT_EQ(rows.size(), 5u);
  for (const SumMessageRow& row : rows) {
    EXPECT_TRUE(row.sent);
    EXPECT_FALSE(row.reply.empty());
    site.Kill();
    site.Start();
    wire::SumStep step;
    step.job = federation.job;
    step.kind = wire::SumKind::kTrain;
    step.round = 1;
    step.phase = static_cast<wire::SumPhase>(row.phase);
    step.message = row.message;
    step.models = {model};
    site.Step(federation.job, {step});
    EXPECT_EQ(site.Last<wire::SumMessage>()->message, row.reply) << row.phase;
  }
  EXPECT_EQ(site.Runs("train"), 1);
}

TEST(ExperimentRunnerTest, LeavesASumThatIsNotWhatItSeems) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  const Bytes other = federation.initial_model.substr(0, federation.initial_model.size() - 4) + Bytes(4, '\1');
  federation.published[crypto::Sha256(other)] = other;
  wire::SumStep step;
  step.job = federation.job;
  step.kind = wire::SumKind::kTrain;
  step.round = 1;
  step.phase = wire::SumPhase::kAdvertise;
  step.models = {federation.GlobalModel(0, crypto::Sha256(other))};  // not the plan's initial model
  SiteHarness& site = *federation.sites[0];
  site.Step(federation.job, {step});
  ASSERT_NE(site.Last<wire::SiteFailure>(), nullptr);
  EXPECT_EQ(site.Last<wire::SiteFailure>()->reason, wire::FailureReason::kProtocolViolation);
  EXPECT_EQ(site.Last<wire::SumMessage>(), nullptr);

  // A second, different message of the same phase.
  step.attempt = 1;
  step.models = {federation.GlobalModel(0, federation.plan.model.initial_model)};
  site.Step(federation.job, {step});
  EXPECT_NE(site.Last<wire::SumMessage>(), nullptr);
  step.phase = wire::SumPhase::kShare;
  step.message = "a roster that is none";
  site.Step(federation.job, {step});
  EXPECT_EQ(site.Last<wire::SiteFailure>()->attempt, 1u);
  EXPECT_EQ(site.Last<wire::SiteFailure>()->reason, wire::FailureReason::kProtocolViolation);
}

// What a site dealt and signed does not open: its readers say whose it is, and do not blame the coordinator.
TEST(ExperimentRunnerTest, ABadShareIsReportedWithItsDealer) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  const wire::ModelRef model = federation.GlobalModel(0, federation.plan.model.initial_model);
  secagg::ServerInputs inputs{{}, federation.pki.ca(), {}, federation.clock.Now()};
  const auto global = update::ParseModelState(federation.initial_model).value();
  inputs.params =
      plan::SumParamsOf(federation.plan, federation.plan_digest, {federation.job, plan::SumKind::kTrain, 1, 0},
                        {{model.id, false, model.blob}}, global.values);
  for (const auto& site : federation.sites) {
    inputs.expected.push_back(site->id);
  }
  secagg::ServerSession server = secagg::ServerSession::Create(std::move(inputs)).value();
  wire::SumStep step;
  step.job = federation.job;
  step.kind = wire::SumKind::kTrain;
  step.round = 1;
  step.models = {model};
  for (const wire::SumPhase phase : {wire::SumPhase::kAdvertise, wire::SumPhase::kShare}) {
    step.phase = phase;
    for (const auto& site : federation.sites) {
      step.message = phase == wire::SumPhase::kAdvertise ? "" : server.MessagesFor(site->id).back();
      site->Step(federation.job, {step});
      Bytes said = site->Last<wire::SumMessage>()->message;
      if (phase == wire::SumPhase::kShare && site == federation.sites[2]) {
        said = testing::WithBadShares(said, federation.pki.site(3));
      }
      ASSERT_TRUE(server.Handle(site->id, said).ok());
    }
    ASSERT_TRUE(server.Close().ok());
  }
  step.phase = wire::SumPhase::kMask;
  for (size_t i = 0; i < 2; ++i) {
    SiteHarness& site = *federation.sites[i];
    step.message = server.MessagesFor(site.id).back();
    site.Step(federation.job, {step});
    ASSERT_NE(site.Last<wire::SiteFailure>(), nullptr);
    EXPECT_EQ(site.Last<wire::SiteFailure>()->reason, wire::FailureReason::kBadShare);
    EXPECT_EQ(site.Last<wire::SiteFailure>()->about, federation.sites[2]->id);
  }
}

// Models that only one site is told to score would single out its patients in the total.
TEST(ExperimentRunnerTest, ScoresOnlyTheModelsThatTheSumBeganWith) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  const Bytes other = federation.initial_model.substr(0, federation.initial_model.size() - 4) + Bytes(4, '\1');
  federation.published[crypto::Sha256(other)] = other;
  SiteHarness& site = *federation.sites[0];
  wire::SumStep step;
  step.job = federation.job;
  step.kind = wire::SumKind::kValidate;
  step.round = 1;
  step.models = {federation.GlobalModel(1, federation.plan.model.initial_model)};
  std::vector<Bytes> adverts;
  for (auto& one : federation.sites) {
    step.phase = wire::SumPhase::kAdvertise;
    one->Step(federation.job, {step});
    adverts.push_back(one->Last<wire::SumMessage>()->message);
  }
  step.phase = wire::SumPhase::kShare;
  step.message = secagg::Encode(secagg::Roster{adverts});
  step.models = {federation.GlobalModel(1, crypto::Sha256(other))};
  site.Step(federation.job, {step});
  ASSERT_TRUE(std::holds_alternative<wire::SiteFailure>(site.link.sent.back()));
  EXPECT_EQ(std::get<wire::SiteFailure>(site.link.sent.back()).reason, wire::FailureReason::kProtocolViolation);
  site.Kill();
  site.Start();
  site.Step(federation.job, {step});
  ASSERT_TRUE(std::holds_alternative<wire::SiteFailure>(site.link.sent.back()));
  EXPECT_EQ(site.Last<wire::SumMessage>()->phase, wire::SumPhase::kAdvertise);
}

// Both might be released, each by other sites.
TEST(ExperimentRunnerTest, DoesNotGoBackToAnOlderAttempt) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  SiteHarness& site = *federation.sites[0];
  wire::SumStep step;
  step.job = federation.job;
  step.kind = wire::SumKind::kTrain;
  step.round = 1;
  step.models = {federation.GlobalModel(0, federation.plan.model.initial_model)};
  std::vector<Bytes> adverts;
  for (auto& one : federation.sites) {
    step.phase = wire::SumPhase::kAdvertise;
    one->Step(federation.job, {step});
    adverts.push_back(one->Last<wire::SumMessage>()->message);
  }
  step.attempt = 1;
  site.Step(federation.job, {step});
  ASSERT_EQ(site.Last<wire::SumMessage>()->attempt, 1u);
  step.attempt = 0;
  step.phase = wire::SumPhase::kShare;
  step.message = secagg::Encode(secagg::Roster{adverts});
  for (const bool restarted : {false, true}) {
    SCOPED_TRACE(restarted);
    if (restarted) {
      site.Kill();
      site.Start();
    }
    const size_t said = site.link.sent.size();
    site.Step(federation.job, {step});
    ASSERT_EQ(site.link.sent.size(), said + 1);
    ASSERT_TRUE(std::holds_alternative<wire::SiteFailure>(site.link.sent.back()));
    EXPECT_EQ(std::get<wire::SiteFailure>(site.link.sent.back()).attempt, 0u);
  }
}

// Each would add up patients that another sum adds up too: over a smaller roster, the difference is one site's.
TEST(ExperimentRunnerTest, TakesPartInNoSumThatThePlanDoesNotHave) {
  TestFederation federation;  // two rounds, two candidates, at most eight sites
  ASSERT_TRUE(federation.Invite());
  SiteHarness& site = *federation.sites[0];
  const wire::ModelRef global = federation.GlobalModel(0, federation.plan.model.initial_model);
  const auto refuses = [&](wire::SumKind kind, uint32_t round, const std::vector<wire::ModelRef>& models,
                           uint32_t attempt = 0) {
    const size_t said = site.link.sent.size();
    wire::SumStep step;
    step.job = federation.job;
    step.kind = kind;
    step.round = round;
    step.attempt = attempt;
    step.phase = wire::SumPhase::kAdvertise;
    step.models = models;
    site.Step(federation.job, {step});
    ASSERT_EQ(site.link.sent.size(), said + 1);
    ASSERT_TRUE(std::holds_alternative<wire::SiteFailure>(site.link.sent.back()));
    EXPECT_EQ(std::get<wire::SiteFailure>(site.link.sent.back()).reason, wire::FailureReason::kProtocolViolation);
  };
  for (const uint32_t round : {0u, 3u, 4'000'000'000u}) {
    SCOPED_TRACE(round);
    refuses(wire::SumKind::kTrain, round, {global});
  }
  for (const uint32_t round : {0u, 2u}) {
    SCOPED_TRACE(round);
    refuses(wire::SumKind::kValidate, round, {global});
    refuses(wire::SumKind::kCalibrate, round, {global});
  }
  refuses(wire::SumKind::kTrain, 2, {global, global});
  refuses(wire::SumKind::kTrain, 1, {global}, plan::kMaxAttempts);  // one more draw of a graph
  refuses(wire::SumKind::kCalibrate, 1, {global});                  // the validation's tuning histogram again
  EXPECT_EQ(site.Runs("train"), 0);
  EXPECT_EQ(site.Runs("validate"), 0);
}

// What other sites of a large federation would say, beside those that run.
std::vector<wire::SignedDocument> WithOtherAcceptances(TestFederation& federation, int last) {
  std::vector<wire::SignedDocument> acceptances = federation.BaselineItem().acceptances;
  for (int i = static_cast<int>(acceptances.size()) + 1; i <= last; ++i) {
    const crypto::Signer& signer = federation.pki.site(i);
    const plan::Acceptance acceptance{federation.plan_digest, SiteId::Parse(signer.id()).value(), Bytes(32, 'k'),
                                      crypto::Sha256(signer.id())};
    wire::SignedDocument document;
    document.document = plan::AcceptanceDocument(acceptance);
    document.signature = signer.Sign(plan::kAcceptanceDomain, document.document);
    document.certificate = signer.certificate().der();
    acceptances.push_back(std::move(document));
  }
  return acceptances;
}

TEST(ExperimentRunnerTest, RevealsItsPartOfTheGraphSeedOnceAndForOneList) {
  TestFederation federation;
  federation.plan.sites.maximum = 70;
  federation.plan_document = plan::PlanDocument(federation.plan);
  federation.plan_digest = crypto::Sha256(federation.plan_document);
  ASSERT_TRUE(federation.Invite());
  SiteHarness& site = *federation.sites[0];
  const plan::Acceptance accepted =
      plan::ParseAcceptance(site.Last<wire::ExperimentAnswer>()->acceptance->document).value();
  const wire::GraphSeedTask task{federation.job, WithOtherAcceptances(federation, 65)};
  const wire::GraphSeedTask longer{federation.job, WithOtherAcceptances(federation, 66)};
  site.Step(federation.job, {task});
  ASSERT_NE(site.Last<wire::GraphReveal>(), nullptr);
  const Digest reveal = site.Last<wire::GraphReveal>()->reveal;
  EXPECT_EQ(secagg::GraphCommitment(federation.job, accepted.site, reveal.view()), accepted.graph_commitment);
  site.Kill();
  site.Start();
  site.Step(federation.job, {task});
  EXPECT_EQ(site.Last<wire::GraphReveal>()->reveal, reveal);

  // No sum before the seed is drawn, and none when a reveal is missing.
  wire::SumStep step;
  step.job = federation.job;
  step.round = 1;
  step.models = {federation.GlobalModel(0, federation.plan.model.initial_model)};
  step.message = secagg::EncodeGraphReveals({{accepted.site, Bytes(reveal.view())}});
  site.Step(federation.job, {step});
  ASSERT_NE(site.Last<wire::SiteFailure>(), nullptr);
  EXPECT_EQ(site.Last<wire::SiteFailure>()->reason, wire::FailureReason::kProtocolViolation);
  EXPECT_EQ(site.Last<wire::SumMessage>(), nullptr);

  site.Kill();
  site.Start();
  site.link.sent.clear();
  site.Step(federation.job, {longer});
  ASSERT_NE(site.Last<wire::SiteFailure>(), nullptr);
  EXPECT_FALSE(site.Last<wire::SiteFailure>()->kind.has_value());
  EXPECT_EQ(site.Last<wire::GraphReveal>(), nullptr) << "a second list of participants";
}

TEST(ExperimentRunnerTest, AWorkerThatFailsIsReportedWithItsReason) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  SiteHarness& site = *federation.sites[0];
  site.Kill();
  site.worker_environment["CLOISTER_FAKE_CRASH"] = "train";
  site.Start();
  wire::SumStep step;
  step.job = federation.job;
  step.kind = wire::SumKind::kTrain;
  step.round = 1;
  step.phase = wire::SumPhase::kAdvertise;
  step.models = {federation.GlobalModel(0, federation.plan.model.initial_model)};
  site.Step(federation.job, {step});
  // The advert is out; the failure shows when the round needs the result. Here: when the step is looked at again.
  federation.clock.Advance(absl::Minutes(1));
  site.Step(federation.job, {step});
  ASSERT_NE(site.Last<wire::SiteFailure>(), nullptr);
  EXPECT_EQ(site.Last<wire::SiteFailure>()->reason, wire::FailureReason::kWorkerCrashed);
  EXPECT_EQ(site.Runs("train"), 2);  // tried again once
}

// What a worker gives that must not leave as it is: the plan's code may do anything in there.
void ExpectNothingLeaves(const std::string& variable, const std::string& value, wire::FailureReason reason) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  SiteHarness& site = *federation.sites[2];
  site.Kill();
  site.worker_environment[variable] = value;
  site.Start();
  bool reached = false;
  const auto model = federation.GlobalModel(0, federation.plan.model.initial_model);
  // The sum cannot close with two of three: only what the site says counts here.
  secagg::ServerInputs inputs{{}, federation.pki.ca(), {}, federation.clock.Now()};
  const auto global = update::ParseModelState(federation.initial_model).value();
  std::vector<plan::SumModel> models = {{model.id, false, model.blob}};
  inputs.params = plan::SumParamsOf(federation.plan, federation.plan_digest,
                                    {federation.job, plan::SumKind::kTrain, 1, 0}, models, global.values);
  for (const auto& one : federation.sites) {
    inputs.expected.push_back(one->id);
  }
  secagg::ServerSession server = secagg::ServerSession::Create(std::move(inputs)).value();
  for (wire::SumPhase phase : {wire::SumPhase::kAdvertise, wire::SumPhase::kShare, wire::SumPhase::kMask}) {
    for (auto& one : federation.sites) {
      wire::SumStep step;
      step.job = federation.job;
      step.kind = wire::SumKind::kTrain;
      step.round = 1;
      step.phase = phase;
      step.models = {model};
      if (phase != wire::SumPhase::kAdvertise) {
        step.message = server.MessagesFor(one->id).back();
      }
      one->Step(federation.job, {step});
      if (phase != wire::SumPhase::kMask) {
        ASSERT_TRUE(server.Handle(one->id, one->Last<wire::SumMessage>()->message).ok());
      }
    }
    if (phase != wire::SumPhase::kMask) {
      ASSERT_TRUE(server.Close().ok());
    }
    reached = phase == wire::SumPhase::kMask;
  }
  ASSERT_TRUE(reached);
  ASSERT_NE(site.Last<wire::SiteFailure>(), nullptr);
  EXPECT_EQ(site.Last<wire::SiteFailure>()->reason, reason);
  EXPECT_TRUE(site.link.uploaded.empty());
}

TEST(ExperimentRunnerTest, ANonFiniteUpdateNeverLeaves) {
  ExpectNothingLeaves("CLOISTER_FAKE_DIVERGE", "nan", wire::FailureReason::kNotFinite);
  ExpectNothingLeaves("CLOISTER_FAKE_DIVERGE", "inf", wire::FailureReason::kNotFinite);
}

TEST(ExperimentRunnerTest, AWorkerCannotRaiseTheWeight) {
  ExpectNothingLeaves("CLOISTER_FAKE_SAMPLES", "100000", wire::FailureReason::kModelInvalid);
}

// Whatever the worker gives: each element within clip, the whole within clip_norm, both times the site's weight.
TEST(ExperimentRunnerTest, AHugeUpdateLeavesClipped) {
  for (const double clip_norm : {0.0, 0.5}) {
    SCOPED_TRACE(clip_norm);
    TestFederation federation(fmt::format(R"yaml(
experiment: test
task: chest_pneumonia
model: {{architecture: resnet18, init: he_normal, seed: 7}}
algorithm: {{name: fedavg, rounds: 2, optimizer: {{name: sgd, lr: 0.1}}, seed: 5}}
sites: {{minimum: 3, maximum: 8, invitation: 1s, deadline: 1m}}
privacy: {{clip: 1.0, clip_norm: {}, weight_cap: 1000}}
gates:
  - {{metric: auc, at_least: 0.6, per_site: true, statistic: estimate}}
)yaml",
                                          clip_norm));
    ASSERT_TRUE(federation.Invite());
    federation.sites[2]->Kill();
    federation.sites[2]->worker_environment["CLOISTER_FAKE_DIVERGE"] = "huge";
    federation.sites[2]->Start();
    const wire::ModelRef model = federation.GlobalModel(0, federation.plan.model.initial_model);
    const auto total =
        federation.RunSum(wire::SumKind::kTrain, 1, 0, [&](size_t) { return std::vector<wire::ModelRef>{model}; });
    ASSERT_FALSE(total.update.empty());
    const double scale = update::QuantPlan::Choose(8, 1.0)->scale;
    const double weights = update::SumOfOmega(plan::DecodeTrainCounters(total.counters)->weight);
    const double rounding = 3 / scale;
    double largest = 0;
    double squares = 0;
    for (const uint32_t residue : total.update) {
      const double value = static_cast<int32_t>(residue) / scale;
      largest = std::max(largest, std::abs(value));
      squares += value * value;
    }
    EXPECT_LE(largest, weights * 1.0 + rounding);
    if (clip_norm > 0) {
      EXPECT_LE(std::sqrt(squares), weights * clip_norm + rounding * std::sqrt(total.update.size()));
    } else {
      EXPECT_GT(largest, 0.02) << "clipped, not left out";
    }
  }
}

void ShareBaselines(TestFederation& federation) {
  const wire::BaselineTask task = federation.BaselineItem();
  for (auto& site : federation.sites) {
    site->Step(federation.job, {task});
    const wire::BaselineReady* ready = site->Last<wire::BaselineReady>();
    ASSERT_NE(ready, nullptr);
    ASSERT_TRUE(ready->blob.has_value());
    EXPECT_EQ(ready->keys.size(), federation.sites.size());
    federation.published[*ready->blob] = site->link.uploaded.at(*ready->blob);
  }
}

TEST(ExperimentRunnerTest, BaselinesTravelSealedAndOnlyWherePolicyAllows) {
  TestFederation federation;
  federation.sites[2]->Kill();
  federation.sites[2]->policy.replace(federation.sites[2]->policy.find("sealed"), 6, "never");
  federation.sites[2]->Start();
  ASSERT_TRUE(federation.Invite());
  const wire::BaselineTask task = federation.BaselineItem();
  for (auto& site : federation.sites) {
    site->Step(federation.job, {task});
    ASSERT_NE(site->Last<wire::BaselineReady>(), nullptr);
  }
  EXPECT_TRUE(federation.sites[2]->link.uploaded.empty());
  EXPECT_FALSE(federation.sites[2]->Last<wire::BaselineReady>()->blob.has_value());
  // What left is not the model, and the same again after a restart.
  SiteHarness& site = *federation.sites[0];
  const Digest blob = *site.Last<wire::BaselineReady>()->blob;
  EXPECT_THAT(site.link.uploaded.at(blob), Not(HasSubstr("a.weight")));
  const Bytes message = wire::SerializeSiteMessage(*site.Last<wire::BaselineReady>());
  site.Kill();
  site.Start();
  site.Step(federation.job, {task});
  EXPECT_EQ(wire::SerializeSiteMessage(*site.Last<wire::BaselineReady>()), message);
  EXPECT_EQ(site.Runs("train"), 1);
}

TEST(ExperimentRunnerTest, AnAcceptanceThatIsNotTheSitesGetsNoKey) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  wire::BaselineTask task = federation.BaselineItem();
  plan::Acceptance forged = plan::ParseAcceptance(task.acceptances[1].document).value();
  forged.sealing_key = Bytes(32, '\7');  // the coordinator would like to read it too
  task.acceptances[1].document = plan::AcceptanceDocument(forged);
  federation.sites[0]->Step(federation.job, {task});
  EXPECT_EQ(federation.sites[0]->Last<wire::BaselineReady>(), nullptr);
  ASSERT_NE(federation.sites[0]->Last<wire::SiteFailure>(), nullptr);
  EXPECT_TRUE(federation.sites[0]->link.uploaded.empty());
}

TEST(ExperimentRunnerTest, AValidationAddsUpHistogramsAndSendsASummary) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  ShareBaselines(federation);
  const auto models_of = [&](size_t reader) {
    std::vector<wire::ModelRef> models = {federation.GlobalModel(0, federation.plan.model.initial_model)};
    for (size_t origin = 0; origin < federation.sites.size(); ++origin) {
      models.push_back(federation.BaselineModel(origin, reader));
    }
    return models;
  };
  const auto total = federation.RunSum(wire::SumKind::kValidate, 1, 0, models_of);
  // Four models on the test split, one of them on the tuning split too.
  const uint64_t size = plan::HistogramCounters(federation.plan);
  ASSERT_EQ(total.counters.size(), 5 * size);
  uint64_t tested = 0;
  uint64_t tuned = 0;
  for (auto& site : federation.sites) {
    const FrozenCohort cohort = site->context().cohorts->Frozen(federation.job).value();
    tested += cohort.Of(CohortSplit::kTest).size();
    tuned += cohort.Of(CohortSplit::kTuning).size();
    EXPECT_EQ(site->Runs("validate"), 1);
    const wire::SiteSummary* summary = site->Last<wire::SiteSummary>();
    ASSERT_NE(summary, nullptr);
    ASSERT_EQ(summary->models.size(), 4u);
    EXPECT_TRUE(eval::ParseSummary(summary->models[0].summary).ok());
  }
  uint64_t cases = 0;
  for (uint64_t i = 0; i < size - 2; ++i) {
    cases += total.counters[i];
  }
  EXPECT_EQ(cases, tested);
  cases = 0;
  for (uint64_t i = 4 * size; i < 5 * size - 2; ++i) {
    cases += total.counters[i];
  }
  EXPECT_EQ(cases, tuned);
}

TEST(ExperimentRunnerTest, OneBadBaselineDoesNotStopAValidation) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  ShareBaselines(federation);
  const auto models_of = [&](size_t reader) {
    wire::ModelRef bad = federation.BaselineModel(1, reader);
    bad.sealed_key = federation.BaselineModel(1, (reader + 1) % 3).sealed_key;  // sealed for somebody else
    return std::vector<wire::ModelRef>{federation.GlobalModel(0, federation.plan.model.initial_model), bad};
  };
  const auto total = federation.RunSum(wire::SumKind::kValidate, 1, 0, models_of);
  const uint64_t size = plan::HistogramCounters(federation.plan);
  ASSERT_EQ(total.counters.size(), 3 * size);
  for (uint64_t i = size; i < 2 * size; ++i) {
    EXPECT_EQ(total.counters[i], 0u);
  }
  EXPECT_EQ(federation.sites[0]->Last<wire::SiteSummary>()->models.size(), 1u);
}

TEST(ExperimentRunnerTest, ABaselineThatCannotBeUsedGetsNoScoresAtThatSiteAlone) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  ShareBaselines(federation);
  const auto models_of = [&](size_t reader) {
    return std::vector<wire::ModelRef>{federation.GlobalModel(0, federation.plan.model.initial_model),
                                       federation.BaselineModel(1, reader)};
  };
  SiteHarness& site = *federation.sites[0];
  site.Kill();
  site.worker_environment["CLOISTER_FAKE_UNUSABLE"] = models_of(0)[1].id;
  site.Start();
  const auto total = federation.RunSum(wire::SumKind::kValidate, 1, 0, models_of);
  const uint64_t size = plan::HistogramCounters(federation.plan);
  ASSERT_EQ(total.counters.size(), 3 * size);
  const auto cases_of = [&](uint64_t slot) {
    return std::accumulate(total.counters.begin() + static_cast<std::ptrdiff_t>(slot * size),
                           total.counters.begin() + static_cast<std::ptrdiff_t>((slot + 1) * size - 2), uint64_t{0});
  };
  const FrozenCohort cohort = site.context().cohorts->Frozen(federation.job).value();
  EXPECT_EQ(cases_of(1), cases_of(0) - cohort.Of(CohortSplit::kTest).size());
  EXPECT_GT(cases_of(1), 0u);
  EXPECT_EQ(site.Last<wire::SiteSummary>()->models.size(), 1u);
  EXPECT_EQ(federation.sites[1]->Last<wire::SiteSummary>()->models.size(), 2u);
}

// Planted names, patient ids and UIDs are nowhere in what left: messages, masked vectors, the audit log.
TEST(ExperimentRunnerTest, NoIdentifierLeaves) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  ShareBaselines(federation);
  const auto model = federation.GlobalModel(0, federation.plan.model.initial_model);
  federation.RunSum(wire::SumKind::kTrain, 1, 0, Always(model));
  federation.RunSum(wire::SumKind::kValidate, 1, 0, Always(model));
  for (auto& site : federation.sites) {
    std::vector<Bytes> out;
    for (const wire::SiteMessage& message : site->link.sent) {
      out.push_back(wire::SerializeSiteMessage(message));
    }
    for (const auto& [digest, bytes] : site->link.uploaded) {
      out.push_back(bytes);
    }
    const std::vector<audit::Record> records = site->store().audit().Read(1, 1000).value();
    for (const audit::Record& record : records) {
      out.push_back(record.event.subject + record.event.type + record.event.detail);
    }
    ASSERT_GT(out.size(), 10u);
    for (const Bytes& bytes : out) {
      for (const char* canary : {"CANARY", "PATIENT", "ACCESSION", "1.2.826"}) {
        EXPECT_THAT(bytes, Not(HasSubstr(canary)));
      }
    }
    EXPECT_FALSE(site->store().audit().Verify()->has_value());
  }
}

TEST(ExperimentRunnerTest, TheEndRemovesSecrets) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  SiteHarness& site = *federation.sites[0];
  const std::filesystem::path secret = site.config.data / "secrets" / "job-1.secret";
  EXPECT_TRUE(std::filesystem::exists(secret));
  wire::ExperimentClosed closed;
  closed.job = federation.job;
  closed.phase = "aborted";
  closed.reason = "by the operator";
  site.Step(federation.job, {closed});
  EXPECT_FALSE(std::filesystem::exists(secret));
  EXPECT_EQ(site.store().experiments().Get(federation.job)->state, ExperimentState::kClosed);
}

}  // namespace
}  // namespace cloister::site
