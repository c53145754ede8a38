// SPDX-License-Identifier: Apache-2.0
// What a hostile or broken coordinator may send to a site.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "protocols/wire/codec.h"
#include "protocols/wire/message_bytes.h"
#include "tests/protocols/wire/wire_examples.h"

namespace cloister::wire {
namespace {

using ::testing::HasSubstr;

TEST(WorkCodecTest, EveryKindComesBackTheSame) {
  const Work work{42, AllWorkItems()};
  const auto again = Decode(Encode(work));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->version, 42u);
  ASSERT_EQ(again->items.size(), work.items.size());
  for (size_t i = 0; i < work.items.size(); ++i) {
    EXPECT_EQ(SerializeWorkItem(again->items[i]), SerializeWorkItem(work.items[i]));
  }
  const SumStep& step = std::get<SumStep>(again->items[2]);
  EXPECT_EQ(step.message, std::string("\0roster", 7));
  EXPECT_EQ(step.models[1].origin_site.value(), "site-a");
  EXPECT_EQ(step.models[1].kind, ModelKind::kBaseline);
  ASSERT_EQ(step.models[0].refused.size(), 2u);
  EXPECT_EQ(step.models[0].refused[1].result, MakeDigest('f'));
  EXPECT_EQ(step.models[0].refused[1].round, 5u);
}

TEST(WorkCodecTest, AnExperimentMayGoOnWithoutTheSite) {
  const Work work{1, {ExperimentClosed{*JobId::Parse("job-1"), "closed", "it has started without this site"}}};
  const auto again = Decode(Encode(work));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(std::get<ExperimentClosed>(again->items[0]).phase, "closed");
}

// The first step of a sum on a sparse graph brings the reveals of the graph seed.
TEST(WorkCodecTest, AnAdvertiseStepMayHaveAMessage) {
  SumStep step = std::get<SumStep>(AllWorkItems()[2]);
  step.phase = SumPhase::kAdvertise;
  for (const Bytes& message : {Bytes(), Bytes("reveals")}) {
    step.message = message;
    const auto again = Decode(Encode(Work{1, {step}}));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(std::get<SumStep>(again->items[0]).message, message);
  }
}

struct Damage {
  size_t example;
  std::function<void(v1::WorkItem&)> apply;
  std::string names;
};

TEST(WorkCodecTest, RefusesWhatIsNotValid) {
  const std::vector<Damage> damages = {
      {0, [](auto& m) { m.mutable_offer()->set_job_id("a b"); }, "job id"},
      {0, [](auto& m) { m.mutable_offer()->clear_plan(); }, "signed document"},
      {1, [](auto& m) { m.mutable_baseline()->mutable_acceptances(1)->clear_certificate(); }, "certificate"},
      {2, [](auto& m) { m.mutable_sum()->clear_kind(); }, "sum kind"},
      {2, [](auto& m) { m.mutable_sum()->clear_message(); }, "ADVERTISE"},
      {2, [](auto& m) { m.mutable_sum()->mutable_models(0)->set_id("/etc/passwd"); }, "model id"},
      {2, [](auto& m) { m.mutable_sum()->mutable_models(0)->set_size_bytes(0); }, "0 bytes"},
      {2, [](auto& m) { m.mutable_sum()->mutable_models(0)->set_size_bytes(~uint64_t{0}); }, "allowed"},
      {2, [](auto& m) { m.mutable_sum()->mutable_models(0)->set_origin_site("site-a"); }, "only a baseline"},
      {2, [](auto& m) { m.mutable_sum()->mutable_models(1)->clear_sealed_key(); }, "only a baseline"},
      {2, [](auto& m) { *m.mutable_sum()->mutable_models(1)->mutable_made_by() = m.sum().models(0).made_by(); },
       "made by no sum"},
      {2, [](auto& m) { m.mutable_sum()->mutable_models(0)->mutable_made_by()->set_parent("short"); },
       "parent of a model"},
      {2, [](auto& m) { m.mutable_sum()->mutable_models(0)->mutable_made_by()->clear_result(); }, "result of a sum"},
      {2, [](auto& m) { *m.mutable_sum()->mutable_models(1)->add_refused() = m.sum().models(0).refused(0); },
       "made by no sum"},
      {2, [](auto& m) { m.mutable_sum()->mutable_models(0)->mutable_refused(1)->set_result("short"); },
       "result of a sum"},
      {2,
       [](auto& m) {
         while (m.sum().models(0).refused_size() <= static_cast<int>(kMaxRefusedRounds)) {
           *m.mutable_sum()->mutable_models(0)->add_refused() = m.sum().models(0).refused(0);
         }
       },
       "refused rounds"},
      {2, [](auto& m) { m.mutable_sum()->mutable_models(1)->set_blob(""); }, "model blob"},
      {3, [](auto& m) { m.mutable_release()->mutable_manifest()->set_signature(std::string(65, 's')); }, "65"},
      {4, [](auto& m) { m.mutable_closed()->set_phase("won"); }, "phase"},
      {4, [](auto& m) { m.mutable_closed()->set_reason("all is well\n2026 ERROR forged line"); }, "control"},
      {4, [](auto& m) { m.clear_work(); }, "does not know"},
      {5, [](auto& m) { m.mutable_graph_seed()->clear_job_id(); }, "job id"},
      {5, [](auto& m) { m.mutable_graph_seed()->mutable_acceptances(1)->clear_signature(); }, "signature"},
  };
  const std::vector<WorkItem> examples = AllWorkItems();
  for (size_t i = 0; i < damages.size(); ++i) {
    v1::PullWorkReply reply;
    *reply.add_items() = Encode(examples[damages[i].example]);
    damages[i].apply(*reply.mutable_items(0));
    const auto decoded = Decode(reply);
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument) << "damage " << i;
    EXPECT_THAT(std::string(decoded.status().message()), HasSubstr(damages[i].names)) << "damage " << i;
  }
}

TEST(WorkCodecTest, BoundsAPullRequest) {
  v1::PullWorkRequest message = Encode(PullRequest{1, 4'000'000'000u, "0.1.0"});
  ASSERT_TRUE(Decode(message).ok());
  EXPECT_EQ(Decode(message)->wait_ms, kMaxWaitMs);
  message.set_agent_version(std::string(100, 'v'));
  EXPECT_FALSE(Decode(message).ok());
}

}  // namespace
}  // namespace cloister::wire
