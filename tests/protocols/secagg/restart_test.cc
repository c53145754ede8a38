// SPDX-License-Identifier: Apache-2.0
// kill -9 at every step: a site or coordinator that starts again from what it stored says the same bytes, and nothing
// else.
#include <gtest/gtest.h>

#include <functional>

#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

constexpr auto kAborted = absl::StatusCode::kAborted;

// What site 1 says through a whole sum of n, and what it hears.
struct Transcript {
  std::vector<Bytes> heard;
  std::vector<Bytes> said;
  Facts facts;
  SiteVectors masked;
};

Transcript WholeSum(int n) {
  TestSum sum(n);
  Transcript transcript;
  for (int phase = 0; phase < 5; ++phase) {
    transcript.said.push_back(sum.ReplyOf(1));
    sum.Answer(Attendance::Everybody(n).advertise);
    EXPECT_TRUE(sum.server().Close().ok());
  }
  transcript.heard = sum.server().MessagesFor(SiteNumber(1));
  transcript.facts = sum.site(1).facts();
  transcript.masked = sum.site(1).masked();
  return transcript;
}

TEST(RestartTest, ASiteKilledAfterAnyStepSaysTheSameBytes) {
  const Transcript undisturbed = WholeSum(4);
  ASSERT_EQ(undisturbed.heard.size(), 4u);
  for (size_t killed_after = 0; killed_after <= undisturbed.heard.size(); ++killed_after) {
    TestSite site(1, TestParams());
    EXPECT_EQ(site.Advertise(), undisturbed.said[0]);
    for (size_t m = 0; m < killed_after; ++m)
      EXPECT_EQ(site.MustDeliver(undisturbed.heard[m]), undisturbed.said[m + 1]);
    site.Start();  // only the disk is left
    EXPECT_EQ(site.Advertise(), undisturbed.said[0]);
    for (size_t m = 0; m < undisturbed.heard.size(); ++m) {
      EXPECT_EQ(site.MustDeliver(undisturbed.heard[m]), undisturbed.said[m + 1]) << killed_after << " " << m;
    }
    EXPECT_EQ(site.facts(), undisturbed.facts);
    EXPECT_EQ(site.masked(), undisturbed.masked);
    EXPECT_EQ(site.session().phase(), ClientPhase::kFinished);
  }
}

// Killed after the session answered but before the driver stored anything: nothing was sent, and all is as before.
TEST(RestartTest, ASiteKilledBeforeItStoredAnythingSaysTheSameBytes) {
  const Transcript undisturbed = WholeSum(4);
  for (size_t killed_at = 0; killed_at < undisturbed.heard.size(); ++killed_at) {
    TestSite site(1, TestParams());
    site.Advertise();
    for (size_t m = 0; m < killed_at; ++m) site.MustDeliver(undisturbed.heard[m]);
    ASSERT_TRUE(site.session().Handle(undisturbed.heard[killed_at]).ok());  // facts and reply are lost
    site.Start();
    site.Advertise();
    for (size_t m = 0; m < undisturbed.heard.size(); ++m) {
      EXPECT_EQ(site.MustDeliver(undisturbed.heard[m]), undisturbed.said[m + 1]);
    }
  }
}

TEST(RestartTest, AMessageHeardTwiceIsAnsweredTheSame) {
  const Transcript undisturbed = WholeSum(3);
  TestSite site(1, TestParams());
  site.Advertise();
  for (size_t m = 0; m < undisturbed.heard.size(); ++m) {
    EXPECT_EQ(site.MustDeliver(undisturbed.heard[m]), undisturbed.said[m + 1]);
    for (size_t again = 0; again <= m; ++again) {
      const auto step = site.session().Handle(undisturbed.heard[again]);
      ASSERT_TRUE(step.ok()) << step.status();
      EXPECT_TRUE(!step->reply.has_value() || *step->reply == undisturbed.said[again + 1]);
    }
    EXPECT_EQ(site.Advertise(), undisturbed.said[0]);
  }
}

TEST(RestartTest, ASpooledVectorIsCommittedToWithoutMaskingAgain) {
  const Transcript undisturbed = WholeSum(3);
  TestSite site(1, TestParams());
  site.Advertise();
  for (size_t m = 0; m < 2; ++m) site.MustDeliver(undisturbed.heard[m]);
  const Bytes& commit = undisturbed.said[2];
  site.Start();
  site.Advertise();
  ASSERT_TRUE(site.session().Handle(undisturbed.heard[0]).ok());
  EXPECT_EQ(site.session().Recommit(commit).status().code(), absl::StatusCode::kFailedPrecondition) << "not due yet";
  ASSERT_TRUE(site.session().Handle(undisturbed.heard[1]).ok());
  const auto step = site.session().Recommit(commit);
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_EQ(*step->reply, commit);
  EXPECT_EQ(site.MustDeliver(undisturbed.heard[2]), undisturbed.said[3]);
}

TEST(RestartTest, ASpooledCommitIsTheStoredOneOrNone) {
  const Transcript undisturbed = WholeSum(3);
  const auto after_two_messages = [&](bool stored) {
    TestSite site(1, TestParams());
    site.Advertise();
    for (size_t m = 0; m < 2; ++m) site.MustDeliver(undisturbed.heard[m]);
    if (!stored) site.forget_facts();
    site.Start();
    site.Advertise();
    EXPECT_TRUE(site.session().Handle(undisturbed.heard[0]).ok());
    EXPECT_TRUE(site.session().Handle(undisturbed.heard[1]).ok());
    return site;
  };
  Bytes other = undisturbed.said[2];
  other.back() = static_cast<char>(other.back() ^ 1);
  EXPECT_EQ(after_two_messages(true).session().Recommit(other).status().code(), kAborted);
  EXPECT_EQ(after_two_messages(false).session().Recommit(other).status().code(), absl::StatusCode::kFailedPrecondition);
}

// The heart of it: a site that trained again to other numbers must not send a second masked vector under the same
// masks.
TEST(RestartTest, NeverASecondDifferentMaskedVector) {
  const Transcript undisturbed = WholeSum(3);
  TestSite site(1, TestParams());
  site.Advertise();
  for (size_t m = 0; m < 2; ++m) site.MustDeliver(undisturbed.heard[m]);
  site.set_plain(RandomVectors(TestParams(), 999));
  site.Start();
  site.Advertise();
  site.MustDeliver(undisturbed.heard[0]);
  const auto second = site.Deliver(undisturbed.heard[1]);
  EXPECT_EQ(second.status().code(), kAborted) << second.status();
  EXPECT_EQ(site.session().phase(), ClientPhase::kAborted);
}

// A coordinator that waits for the kill and then tells another story is refused at every step.
TEST(RestartTest, NeverASecondStoryAfterARestart) {
  const int n = 5;
  const auto all = Attendance::Everybody(n);
  TestSum sum(n);
  sum.Run(all);
  const std::vector<Bytes> first = sum.server().MessagesFor(SiteNumber(1));

  const auto story = [&](const Attendance& who, int number) {
    TestSum other(n);
    other.Run(who);
    return other.server().MessagesFor(SiteNumber(number));
  };
  Attendance other_roster = all;
  other_roster.advertise = other_roster.share = other_roster.masked_input = other_roster.consistency =
      other_roster.unmask = {1, 2, 3, 4};
  Attendance other_sharers = other_roster;
  other_sharers.advertise = all.advertise;
  Attendance other_survivors = other_sharers;
  other_survivors.share = all.share;

  const std::vector<std::vector<Bytes>> stories = {story(other_roster, 1), story(other_sharers, 1),
                                                   story(other_survivors, 1)};
  for (size_t changed = 0; changed < stories.size(); ++changed) {
    // The site heard the first story up to and including the changed message, stored its facts, and was killed.
    TestSite site(1, TestParams());
    site.Advertise();
    for (size_t m = 0; m <= changed; ++m) site.MustDeliver(first[m]);
    site.Start();
    site.Advertise();
    for (size_t m = 0; m < changed; ++m) {
      ASSERT_EQ(stories[changed][m], first[m]);
      site.MustDeliver(stories[changed][m]);
    }
    ASSERT_NE(stories[changed][changed], first[changed]);
    EXPECT_EQ(site.Deliver(stories[changed][changed]).status().code(), kAborted) << changed;
    // Without the kill the second story is out of turn and ends the session too.
    TestSite awake(1, TestParams());
    awake.Advertise();
    for (size_t m = 0; m <= changed; ++m) awake.MustDeliver(first[m]);
    EXPECT_FALSE(awake.Deliver(stories[changed][changed]).ok());
    EXPECT_EQ(awake.session().phase(), ClientPhase::kAborted);
  }
}

// Sum of U, then sum of U without one site, would be that site's vector.
TEST(RestartTest, ARoundThatReleasedSharesIsClosedForEveryOtherAttempt) {
  TestSum sum(4);
  sum.Run(Attendance::Everybody(4));
  ClientInputs inputs = sum.site(1).Inputs();
  inputs.params.attempt = 1;
  EXPECT_EQ(ClientSession::Create(std::move(inputs)).status().code(), kAborted);
  // The same attempt may be replayed, another round or kind of sum may start.
  EXPECT_TRUE(ClientSession::Create(sum.site(1).Inputs()).ok());
  inputs = sum.site(1).Inputs();
  inputs.params.round = 8;
  EXPECT_TRUE(ClientSession::Create(std::move(inputs)).ok());
  inputs = sum.site(1).Inputs();
  inputs.params.kind = "validation";
  EXPECT_TRUE(ClientSession::Create(std::move(inputs)).ok());
}

TEST(RestartTest, BeforeAnyShareWasReleasedAnotherAttemptUsesNewKeys) {
  TestSum sum(4);
  sum.Answer({1, 2, 3, 4});
  ASSERT_TRUE(sum.server().Close().ok());
  sum.Answer({1, 2, 3, 4});
  ASSERT_TRUE(sum.server().Close().ok());
  sum.Answer({1, 2});  // committed, but too few: the coordinator gives this attempt up
  const Advert before = DecodeAdvert(sum.site(1).Advertise()).value();
  ClientInputs inputs = sum.site(1).Inputs();
  inputs.params.attempt = 1;
  auto session = ClientSession::Create(std::move(inputs));
  ASSERT_TRUE(session.ok()) << session.status();
  const Advert after = DecodeAdvert(*session->Advertise()->reply).value();
  EXPECT_NE(before.channel_key, after.channel_key);
  EXPECT_NE(before.mask_key, after.mask_key);
  EXPECT_NE(before.self_mask_commitment, after.self_mask_commitment);
}

// The coordinator is killed after every stored message and every close.
TEST(RestartTest, ACoordinatorReplaysToTheSameState) {
  const int n = 4;
  struct Event {
    std::optional<SiteId> from;  // none: a close
    Bytes message;
  };
  TestSum sum(n);
  std::vector<Event> stored;
  const auto replay = [&] {
    ServerSession server = MakeServer(sum.params(), n);
    for (const Event& event : stored) {
      const absl::Status status = event.from.has_value() ? server.Handle(*event.from, event.message) : server.Close();
      EXPECT_TRUE(status.ok()) << status;
    }
    return server;
  };
  const auto expect_same = [&] {
    const ServerSession again = replay();
    EXPECT_EQ(again.phase(), sum.server().phase());
    EXPECT_EQ(again.Answered(), sum.server().Answered());
    EXPECT_EQ(again.Awaited(), sum.server().Awaited());
    EXPECT_EQ(again.survivors(), sum.server().survivors());
    for (int i = 1; i <= n; ++i) EXPECT_EQ(again.MessagesFor(SiteNumber(i)), sum.server().MessagesFor(SiteNumber(i)));
  };
  // Site 4 drops out after sharing; answers come in another order each time.
  const std::vector<std::vector<int>> order = {{3, 1, 4, 2}, {4, 2, 1, 3}, {2, 3, 1}, {1, 3, 2}, {3, 2, 1}};
  for (const std::vector<int>& who : order) {
    for (const int i : who) {
      const Bytes reply = sum.ReplyOf(i);
      ASSERT_TRUE(sum.server().Handle(SiteNumber(i), reply).ok());
      stored.push_back({SiteNumber(i), reply});
      expect_same();
      ASSERT_TRUE(sum.server().Handle(SiteNumber(i), reply).ok()) << "the same bytes again are fine";
    }
    ASSERT_TRUE(sum.server().Close().ok());
    stored.push_back({std::nullopt, ""});
    expect_same();
  }
  EXPECT_EQ(sum.Result(), sum.Oracle());
  const ServerSession again = replay();
  SiteVectors sums[2] = {Zeros(sum.params()), Zeros(sum.params())};
  const Unmasker* unmaskers[2] = {sum.server().unmasker().value(), again.unmasker().value()};
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(unmaskers[i]->Apply(0, 0, absl::Span<uint32_t>(sums[i].update)).ok());
    ASSERT_TRUE(unmaskers[i]->Apply(1, 0, absl::Span<uint64_t>(sums[i].counters)).ok());
  }
  EXPECT_EQ(sums[0], sums[1]);
}

TEST(RestartTest, ALateOrChangedAnswerIsRefusedAndChangesNothing) {
  TestSum sum(4);
  sum.Answer({1, 2, 3});
  ASSERT_TRUE(sum.server().Close().ok());
  const Bytes late = sum.site(4).Advertise();
  EXPECT_EQ(sum.server().Handle(SiteNumber(4), late).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(sum.server().MessagesFor(SiteNumber(4)).empty());
  const Bytes shares = sum.ReplyOf(1);
  ASSERT_TRUE(sum.server().Handle(SiteNumber(1), shares).ok());
  Bytes other = shares;
  other.back() ^= 1;
  EXPECT_EQ(sum.server().Handle(SiteNumber(1), other).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(sum.server().Handle(SiteNumber(1), shares).ok());
  EXPECT_EQ(sum.server().Awaited().size(), 2u);
}

TEST(RestartTest, TheJobSecretDecidesTheKeys) {
  TestSite site(1, TestParams());
  const Advert advert = DecodeAdvert(site.Advertise()).value();
  const auto advert_with = [&](const std::function<void(ClientInputs&)>& change) {
    ClientInputs inputs = site.Inputs();
    inputs.facts.clear();
    change(inputs);
    return DecodeAdvert(*ClientSession::Create(std::move(inputs))->Advertise()->reply).value();
  };
  EXPECT_EQ(advert_with([](ClientInputs&) {}).mask_key, advert.mask_key);
  const std::vector<std::function<void(ClientInputs&)>> changes = {
      [](ClientInputs& inputs) { inputs.job_secret = crypto::RandomSecret(32); },
      [](ClientInputs& inputs) { inputs.params.round = 8; },
      [](ClientInputs& inputs) { inputs.params.attempt = 1; },
      [](ClientInputs& inputs) { inputs.params.kind = "validation"; },
      [](ClientInputs& inputs) { inputs.params.model_root = crypto::Sha256("another model"); },
      [](ClientInputs& inputs) { inputs.params.job = JobId::Parse("job-2").value(); },
      [](ClientInputs& inputs) { inputs.signer = SharedConsortium().site(2); },
  };
  std::set<Bytes> seen = {advert.mask_key, advert.channel_key};
  for (const auto& change : changes) {
    const Advert other = advert_with(change);
    EXPECT_TRUE(seen.insert(other.mask_key).second);
    EXPECT_TRUE(seen.insert(other.channel_key).second);
  }
  // Another model for the same attempt contradicts the stored advert.
  ClientInputs inputs = site.Inputs();
  inputs.params.model_root = crypto::Sha256("another model");
  EXPECT_EQ(ClientSession::Create(std::move(inputs))->Advertise().status().code(), kAborted);
  inputs = site.Inputs();
  inputs.job_secret = crypto::SecretBytes(31);
  EXPECT_EQ(ClientSession::Create(std::move(inputs)).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::secagg
