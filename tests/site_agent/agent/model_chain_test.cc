// SPDX-License-Identifier: Apache-2.0
// A coordinator, or a site, that lies about what the sites added up, and sites that find out.
#include "site_agent/agent/model_chain.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include "protocols/base/file.h"

#include "protocols/crypto/hash.h"
#include "protocols/plan/sums.h"
#include "protocols/secagg/messages.h"
#include "tests/site_agent/agent/test_federation.h"

namespace cloister::site {
namespace {

class ModelChainTest : public ::testing::Test {
 protected:
  explicit ModelChainTest(const std::string& plan = "") : federation_(plan) {
    EXPECT_TRUE(federation_.Invite());
    initial_ = federation_.plan.model.initial_model;
    total_ = federation_.RunSum(wire::SumKind::kTrain, 1, 0, Always(federation_.GlobalModel(0, initial_)));
    EXPECT_FALSE(total_.update.empty());
  }
  static std::function<std::vector<wire::ModelRef>(size_t)> Always(const wire::ModelRef& model) {
    return [model](size_t) { return std::vector<wire::ModelRef>{model}; };
  }
  // A round begins at a site with this model.
  void Begin(SiteHarness& site, const wire::ModelRef& model, uint32_t round = 2) {
    wire::SumStep step;
    step.job = federation_.job;
    step.kind = wire::SumKind::kTrain;
    step.round = round;
    step.phase = wire::SumPhase::kAdvertise;
    step.models = {model};
    site.Step(federation_.job, {step});
  }
  void ExpectRefused(const wire::ModelRef& model,
                     wire::FailureReason reason = wire::FailureReason::kProtocolViolation) {
    for (auto& site : federation_.sites) {
      Begin(*site, model);
      const wire::SiteFailure* failure = site->Last<wire::SiteFailure>();
      ASSERT_NE(failure, nullptr);
      EXPECT_EQ(failure->reason, reason);
      EXPECT_EQ(failure->round, 2u);
      EXPECT_EQ(site->Last<wire::SumMessage>()->round, 1u) << "not a word in round 2";
    }
  }
  bool SaysChecked(SiteHarness& site) {
    const wire::SumMessage* said = site.Last<wire::SumMessage>();
    EXPECT_EQ(said->round, 2u);
    return secagg::DecodeAdvert(said->message)->models_checked;
  }

  TestFederation federation_;
  Digest initial_;
  TestFederation::Total total_;
};

// A site that lied about its tag looks like a coordinator that lied about the totals: the sites say that the round is
// lost, keep the evidence, and go on with the model before.
TEST_F(ModelChainTest, WithoutTheSitesTagsTheRoundIsLostAndTheModelBeforeStays) {
  total_.published.tag ^= 1;
  const wire::ModelRef lost = federation_.PublishModel(total_, 1, initial_);
  ExpectRefused(lost, wire::FailureReason::kTagMismatch);
  for (auto& site : federation_.sites) {
    EXPECT_TRUE(site->context().models->blobs().Has(lost.made_by->result));
    EXPECT_FALSE(*site->store().sums().IsChecked(federation_.job, lost.blob));
  }
  const auto again = federation_.RunSum(wire::SumKind::kTrain, 2, 1, Always(federation_.GlobalModel(0, initial_)));
  EXPECT_EQ(plan::DecodeTrainCounters(again.counters)->samples, plan::DecodeTrainCounters(total_.counters)->samples);
}

TEST_F(ModelChainTest, SitesMakeTheNextModelThemselves) {
  const wire::ModelRef model = federation_.PublishModel(total_, 1, initial_);
  federation_.sites[1]->Kill();
  federation_.sites[1]->Start();
  const auto second = federation_.RunSum(wire::SumKind::kTrain, 2, 0, Always(model));
  for (auto& site : federation_.sites) {
    EXPECT_EQ(site->link.downloaded.count(model.made_by->result), 1u);
    EXPECT_EQ(site->link.downloaded.count(model.blob), 0u);
  }
  EXPECT_EQ(plan::DecodeTrainCounters(second.counters)->samples, plan::DecodeTrainCounters(total_.counters)->samples);
}

// Models lie in a cache: what a power cut has damaged there is fetched again, and what was checked stays so.
TEST_F(ModelChainTest, WhatAPowerCutHasDamagedIsFetchedAgain) {
  const wire::ModelRef model = federation_.PublishModel(total_, 1, initial_);
  SiteHarness& site = *federation_.sites[1];
  Begin(site, model);
  const std::filesystem::path file = site.context().models->blobs().Path(model.blob);
  site.Kill();
  ASSERT_TRUE(WriteFileAtomically(file, Bytes(std::filesystem::file_size(file), '\0')).ok());
  site.Start();
  Begin(site, model);
  EXPECT_TRUE(SaysChecked(site));
  EXPECT_EQ(site.link.downloaded.count(model.blob), 1u);
  EXPECT_EQ(crypto::Sha256File(file).value(), model.blob);
}

TEST_F(ModelChainTest, OneChangedElementIsRefused) {
  total_.update.back() += 1;
  ExpectRefused(federation_.PublishModel(total_, 1, initial_), wire::FailureReason::kTagMismatch);
}

TEST_F(ModelChainTest, AnotherSampleCountIsRefused) {
  total_.counters[1] += 1;
  ExpectRefused(federation_.PublishModel(total_, 1, initial_), wire::FailureReason::kTagMismatch);
}

TEST_F(ModelChainTest, AnotherTagIsRefused) {
  total_.published.tag ^= 1;
  ExpectRefused(federation_.PublishModel(total_, 1, initial_), wire::FailureReason::kTagMismatch);
}

TEST_F(ModelChainTest, AModelThatDoesNotFollowFromTheTotalsIsRefused) {
  const wire::ModelRef honest = federation_.PublishModel(total_, 1, initial_);
  total_.update[0] += 1;
  wire::ModelRef forged = federation_.PublishModel(total_, 1, initial_);
  forged.made_by = honest.made_by;
  ExpectRefused(forged);
}

TEST_F(ModelChainTest, DamagedTotalsAreRefused) {
  wire::ModelRef model = federation_.PublishModel(total_, 1, initial_);
  Bytes cut = federation_.published.at(model.made_by->result);
  cut.pop_back();
  model.made_by->result = crypto::Sha256(cut);
  federation_.published[model.made_by->result] = cut;
  ExpectRefused(model);
}

// No site says that it has checked what it could not: then no roster goes on (secagg ModelsCheckedTest).
TEST_F(ModelChainTest, WhatCannotBeCheckedIsNotSaidToBe) {
  const wire::ModelRef honest = federation_.PublishModel(total_, 1, initial_);
  wire::ModelRef without = honest;
  without.made_by.reset();
  Begin(*federation_.sites[0], without);
  EXPECT_FALSE(SaysChecked(*federation_.sites[0]));

  total_.published.ctx2 = crypto::Sha256("another session");
  Begin(*federation_.sites[1], federation_.PublishModel(total_, 1, initial_));
  EXPECT_FALSE(SaysChecked(*federation_.sites[1]));

  Begin(*federation_.sites[2], honest);
  EXPECT_TRUE(SaysChecked(*federation_.sites[2]));
}

TEST_F(ModelChainTest, ASiteThatWasAwayReliesOnTheOthers) {
  SiteHarness& site = *federation_.sites[0];
  ASSERT_TRUE(site.store().database().Execute("DELETE FROM sum_check").ok());
  const wire::ModelRef model = federation_.PublishModel(total_, 1, initial_);
  Begin(site, model);
  EXPECT_FALSE(SaysChecked(site));
  EXPECT_FALSE(*site.store().sums().IsChecked(federation_.job, model.blob));
  const auto second = federation_.RunSum(wire::SumKind::kTrain, 2, 0, Always(model));
  EXPECT_EQ(plan::DecodeTrainCounters(second.counters)->samples, plan::DecodeTrainCounters(total_.counters)->samples);
  EXPECT_TRUE(*site.store().sums().IsChecked(federation_.job, model.blob)) << "the others' word holds from now on";
}

// ---- guards ----

std::string GuardedPlan(const std::string& guards) {
  return fmt::format(R"yaml(
experiment: test
task: chest_pneumonia
model: {{architecture: resnet18, init: he_normal, seed: 7}}
algorithm: {{name: fedavg, rounds: 4, optimizer: {{name: sgd, lr: 0.1}}, seed: 5}}
sites: {{minimum: 3, maximum: 8, invitation: 1s, deadline: 1m}}
privacy: {{clip: 1.0, weight_cap: 1000, guards: {{{}}}}}
gates:
  - {{metric: auc, at_least: 0.6, per_site: true, statistic: estimate}}
)yaml",
                     guards);
}

class StrictGuardTest : public ModelChainTest {
 protected:
  StrictGuardTest() : ModelChainTest(GuardedPlan("max_update_norm: 0.001")) {}
  // The initial model, and that round 1 was refused.
  wire::ModelRef Refused() {
    const wire::ModelRef model = federation_.PublishModel(total_, 1, initial_);
    wire::ModelRef initial = federation_.GlobalModel(0, initial_);
    initial.refused = {*model.made_by};
    return initial;
  }
};

TEST_F(StrictGuardTest, AModelOfARoundThatBreaksAGuardIsRefused) {
  ExpectRefused(federation_.PublishModel(total_, 1, initial_));
}

TEST_F(StrictGuardTest, SitesSeeForThemselvesThatAGuardIsBroken) {
  const wire::ModelRef model = Refused();
  for (auto& site : federation_.sites) {
    Begin(*site, model);
    EXPECT_TRUE(SaysChecked(*site));
    const auto events = site->store().progress().Events(100).value();
    EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const auto& event) {
      return event.text.find("training round 1: refused, and rightly: max_update_norm: the update's norm is") == 0;
    }));
    EXPECT_FALSE(site->context().models->blobs().Has(model.refused[0].result)) << "not needed again";
  }
}

TEST_F(StrictGuardTest, ARefusedRoundWithoutTheSitesTagsIsLostAllTheSame) {
  total_.published.tag ^= 1;
  const wire::ModelRef model = Refused();
  Begin(*federation_.sites[0], model);
  EXPECT_TRUE(SaysChecked(*federation_.sites[0]));
  EXPECT_TRUE(federation_.sites[0]->context().models->blobs().Has(model.refused[0].result)) << "evidence";
}

class MildGuardTest : public ModelChainTest {
 protected:
  MildGuardTest() : ModelChainTest(GuardedPlan("max_norm_growth: 3, min_cosine: 0.5")) {}
};

TEST_F(MildGuardTest, ARefusalWithoutABrokenGuardIsALie) {
  const wire::ModelRef model = federation_.PublishModel(total_, 1, initial_);
  wire::ModelRef initial = federation_.GlobalModel(0, initial_);
  initial.refused = {*model.made_by};
  ExpectRefused(initial);
}

TEST_F(MildGuardTest, ASiteThatWasAwayFollows) {
  SiteHarness& away = *federation_.sites[0];
  ASSERT_TRUE(away.store().database().Execute("DELETE FROM sum_check").ok());
  wire::ModelRef model = federation_.PublishModel(total_, 1, initial_);
  for (uint32_t round = 2; round <= 3; ++round) {
    const auto total = federation_.RunSum(wire::SumKind::kTrain, round, 0, Always(model));
    ASSERT_FALSE(total.update.empty()) << round;
    model = federation_.PublishModel(total, round, model.blob);
  }
  for (auto& site : federation_.sites) {
    Begin(*site, model, 4);
    ASSERT_EQ(site->Last<wire::SumMessage>()->round, 4u);
    EXPECT_TRUE(secagg::DecodeAdvert(site->Last<wire::SumMessage>()->message)->models_checked);
  }
}

// The same weights, but a file that tells the guards of another past.
TEST_F(MildGuardTest, AnotherPastIsAnotherModel) {
  const wire::ModelRef honest = federation_.PublishModel(total_, 1, initial_);
  const auto state = update::ParseModelState(federation_.published.at(honest.blob)).value();
  const Bytes forged = update::EncodeModelState(state.layout, state.values).value();
  wire::ModelRef model = honest;
  model.blob = crypto::Sha256(forged);
  federation_.published[model.blob] = forged;
  ExpectRefused(model);
}

}  // namespace
}  // namespace cloister::site
