// SPDX-License-Identifier: Apache-2.0
// A malicious coordinator, with the sites' real sessions: each way to learn more than the sum ends in a refusal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "protocols/crypto/x25519.h"
#include "protocols/secagg/transcript.h"
#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

using ::testing::HasSubstr;
constexpr auto kAborted = absl::StatusCode::kAborted;
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnauthenticated = absl::StatusCode::kUnauthenticated;

// Takes a sum of n through its first `phases` phases with everybody there.
void Advance(TestSum& sum, int phases) {
  const std::set<int> all = Attendance::Everybody(sum.n()).advertise;
  for (int phase = 0; phase < phases; ++phase) {
    sum.Answer(all);
    ASSERT_TRUE(sum.server().Close().ok());
  }
}

std::vector<Bytes> AdvertsOf(const std::vector<int>& numbers, const SumParams& params) {
  std::vector<Bytes> adverts;
  for (const int i : numbers) adverts.push_back(TestSite(i, params).Advertise());
  return adverts;
}

// How site 1 answers a roster of these adverts.
absl::Status AnswerToRoster(const std::vector<Bytes>& adverts, const SumParams& params = TestParams()) {
  TestSite site(1, params);
  site.Advertise();
  const absl::Status status = site.Deliver(Encode(Roster{adverts})).status();
  EXPECT_EQ(site.session().phase(), status.ok() ? ClientPhase::kShared : ClientPhase::kAborted);
  return status;
}

Bytes SignedAdvert(Advert advert, const crypto::Signer& signer) {
  advert.certificate = signer.certificate().der();
  advert.signature = signer.Sign(DomainOf(MessageType::kAdvert), SignedPart(advert));
  return Encode(advert);
}

TEST(AdversaryTest, TwoModelsForTwoSites) {
  SumParams other = TestParams();
  other.model_root = crypto::Sha256("another model");
  std::vector<Bytes> adverts = AdvertsOf({1, 2}, TestParams());
  adverts.push_back(TestSite(3, other).Advertise());
  const absl::Status refused = AnswerToRoster(adverts);
  EXPECT_EQ(refused.code(), kAborted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("site-03 speaks of another model"));
  ServerSession honest = MakeServer(TestParams(), 3);
  EXPECT_EQ(honest.Handle(SiteNumber(3), adverts[2]).code(), kAborted)
      << "an honest coordinator does not even forward it";
}

TEST(AdversaryTest, APlanWithALowerMinimumForSomeSites) {
  SumParams strict = TestParams();
  strict.n_min = 5;
  EXPECT_EQ(AnswerToRoster(AdvertsOf({1, 2, 3, 4}, strict), strict).code(), kFailedPrecondition);
  EXPECT_EQ(AnswerToRoster(AdvertsOf({1, 2}, TestParams())).code(), kFailedPrecondition);
  EXPECT_EQ(AnswerToRoster({}).code(), kFailedPrecondition);
  std::vector<Bytes> adverts = AdvertsOf({1}, strict);
  for (const Bytes& advert : AdvertsOf({2, 3, 4, 5}, TestParams())) adverts.push_back(advert);
  EXPECT_EQ(AnswerToRoster(adverts, strict).code(), kAborted);
}

TEST(AdversaryTest, SwappedKeysForgedSitesAndStrangers) {
  const std::vector<Bytes> good = AdvertsOf({1, 2, 3}, TestParams());
  ASSERT_TRUE(AnswerToRoster(good).ok());
  const Advert third = DecodeAdvert(good[2]).value();
  const auto answer = [&](const Bytes& replaced) { return AnswerToRoster({good[0], good[1], replaced}).code(); };

  Advert swapped = third;
  swapped.channel_key = crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32))->public_key();
  EXPECT_EQ(answer(Encode(swapped)), kUnauthenticated) << "the coordinator's own channel key";
  swapped = third;
  std::swap(swapped.channel_key, swapped.mask_key);
  EXPECT_EQ(answer(Encode(swapped)), kUnauthenticated);

  TestConsortium foreign("Another consortium");
  EXPECT_EQ(answer(SignedAdvert(third, foreign.site(3))), kUnauthenticated);
  EXPECT_EQ(answer(SignedAdvert(third, SharedConsortium().SignerOf("site-03", crypto::Role::kOperator))),
            kUnauthenticated);
  EXPECT_EQ(answer(SignedAdvert(third, SharedConsortium().site(4))), kUnauthenticated) << "another site's certificate";
  Advert with_tls = third;
  with_tls.certificate =
      crypto::Certificate::FromPem(SharedConsortium().Tls("site-03", crypto::Role::kSite).certificate_pem)->der();
  EXPECT_EQ(answer(Encode(with_tls)), kInvalid);

  SumParams closed = TestParams();
  closed.participants = {SiteNumber(1), SiteNumber(2), SiteNumber(4)};
  EXPECT_EQ(AnswerToRoster(AdvertsOf({1, 2, 4}, closed), closed).code(), absl::StatusCode::kOk);
  std::vector<Bytes> with_stranger = AdvertsOf({1, 2}, closed);
  Advert stranger = third;
  stranger.ctx0 = ContextOf(closed);
  with_stranger.push_back(SignedAdvert(stranger, SharedConsortium().site(3)));
  EXPECT_EQ(AnswerToRoster(with_stranger, closed).code(), absl::StatusCode::kPermissionDenied);
}

// A site cannot keep another out by advertising its public signing key, or any key of another kind, as its own.
TEST(AdversaryTest, AKeyOfAnotherKindShutsNobodyOut) {
  const std::vector<Bytes> good = AdvertsOf({1, 2, 3}, TestParams());
  Advert third = DecodeAdvert(good[2]).value();
  for (Bytes* key : {&third.channel_key, &third.mask_key}) {
    const Bytes before = *key;
    *key = SharedConsortium().site(2).certificate().public_key();
    const Bytes advert = SignedAdvert(third, SharedConsortium().site(3));
    EXPECT_TRUE(AnswerToRoster({good[0], good[1], advert}).ok());
    ServerSession server = MakeServer(TestParams(), 3);
    ASSERT_TRUE(server.Handle(SiteNumber(3), advert).ok());
    EXPECT_TRUE(server.Handle(SiteNumber(2), good[1]).ok());
    *key = before;
  }
}

TEST(AdversaryTest, ASiteTwiceAKeyTwiceAndAKeyOfLowOrder) {
  const std::vector<Bytes> good = AdvertsOf({1, 2, 3}, TestParams());
  EXPECT_EQ(AnswerToRoster({good[0], good[1], good[1], good[2]}).code(), kInvalid);
  EXPECT_EQ(AnswerToRoster({good[1], good[0], good[2]}).code(), kInvalid) << "out of order";
  Advert second = DecodeAdvert(good[1]).value();
  Advert third = DecodeAdvert(good[2]).value();
  Advert again = second;
  again.mask_key = crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32))->public_key();
  again.channel_key = crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32))->public_key();
  EXPECT_EQ(AnswerToRoster({good[0], good[1], SignedAdvert(again, SharedConsortium().site(2)), good[2]}).code(),
            kInvalid);
  third.mask_key = second.mask_key;
  const Bytes copied = SignedAdvert(third, SharedConsortium().site(3));
  EXPECT_EQ(AnswerToRoster({good[0], good[1], copied}).code(), kInvalid);
  third.mask_key = Bytes(32, '\0');
  const Bytes low = SignedAdvert(third, SharedConsortium().site(3));
  EXPECT_EQ(AnswerToRoster({good[0], good[1], low}).code(), kInvalid);
  ServerSession honest = MakeServer(TestParams(), 3);
  ASSERT_TRUE(honest.Handle(SiteNumber(2), good[1]).ok());
  EXPECT_EQ(honest.Handle(SiteNumber(3), copied).code(), kInvalid);
  EXPECT_EQ(honest.Handle(SiteNumber(3), low).code(), kInvalid);
  EXPECT_EQ(honest.Handle(SiteNumber(3), good[0]).code(), kUnauthenticated) << "another site's advert";
  EXPECT_EQ(honest.Handle(SiteNumber(9), good[2]).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(honest.Handle(SiteNumber(3), good[2]).ok());
}

TEST(AdversaryTest, LeavingASiteOutOrReplacingItsOwnAdvert) {
  std::vector<Bytes> adverts = AdvertsOf({2, 3, 4}, TestParams());
  EXPECT_EQ(AnswerToRoster(adverts).code(), kAborted);
  Advert mine = DecodeAdvert(AdvertsOf({1}, TestParams())[0]).value();
  mine.mask_key = crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32))->public_key();
  adverts.insert(adverts.begin(), SignedAdvert(mine, SharedConsortium().site(1)));
  EXPECT_EQ(AnswerToRoster(adverts).code(), kAborted) << "even when signed by this site's own key";
}

TEST(AdversaryTest, TwoRosters) {
  TestSum small(4);
  TestSum large(5);
  Advance(small, 1);
  Advance(large, 1);
  // Sites 1 to 3 hear of four sites, sites 4 and 5 of five. Their shares are sealed and signed for different rosters.
  for (const int i : {1, 2, 3, 4}) ASSERT_TRUE(small.server().Handle(SiteNumber(i), small.ReplyOf(i)).ok());
  const Bytes of_other_roster = large.ReplyOf(4);
  ServerSession honest = MakeServer(TestParams(), 4);
  ASSERT_TRUE(small.server().Close().ok());
  ShareDelivery delivery = DecodeShareDelivery(small.server().MessagesFor(SiteNumber(1)).back()).value();
  delivery.roots[3] = DecodeShares(of_other_roster)->root;
  EXPECT_EQ(small.site(1).Deliver(Encode(delivery)).status().code(), kAborted);
  TestSum again(4);
  Advance(again, 1);
  EXPECT_EQ(again.server().Handle(SiteNumber(4), of_other_roster).code(), kAborted);
}

// Roster and shares of everybody, but two stories of who shared: the commits do not fit together, nor do the masks.
TEST(AdversaryTest, TwoSetsOfSharers) {
  TestSum all(5);
  TestSum fewer(5);
  Advance(all, 2);
  Advance(fewer, 1);
  fewer.Answer({1, 2, 3, 4});
  ASSERT_TRUE(fewer.server().Close().ok());
  const Bytes of_fewer = fewer.ReplyOf(4);
  all.Answer({1, 2, 3, 5});
  EXPECT_EQ(all.server().Handle(SiteNumber(4), of_fewer).code(), kAborted);

  std::vector<Bytes> commits;
  for (const int i : {1, 2, 3}) commits.push_back(all.ReplyOf(i));
  commits.push_back(of_fewer);
  const Digest ctx2 = DecodeMaskedCommit(commits[0])->ctx2;
  EXPECT_EQ(all.site(1).Deliver(Encode(SurvivorList{ctx2, commits})).status().code(), kAborted);

  // Were the two stories added up, pairwise masks between their sites would stay in.
  SiteVectors sum = Zeros(all.params());
  SiteVectors oracle = Zeros(all.params());
  for (const int i : {1, 2, 3, 4}) {
    sum += i == 4 ? fewer.site(i).masked() : all.site(i).masked();
    oracle += all.site(i).plain();
  }
  EXPECT_FALSE(sum == oracle);
}

TEST(AdversaryTest, ShareDeliveriesThatWereTamperedWith) {
  TestSum sum(4);
  Advance(sum, 2);
  const ShareDelivery good = DecodeShareDelivery(sum.server().MessagesFor(SiteNumber(1)).back()).value();
  const ShareDelivery of_other = DecodeShareDelivery(sum.server().MessagesFor(SiteNumber(2)).back()).value();
  const std::vector<Bytes> heard = {sum.server().MessagesFor(SiteNumber(1))[0]};
  const auto answer = [&](const std::function<void(ShareDelivery&)>& change) {
    TestSite site(1, TestParams());
    site.Advertise();
    site.MustDeliver(heard[0]);
    ShareDelivery delivery = good;
    change(delivery);
    const absl::Status status = site.Deliver(Encode(delivery)).status();
    EXPECT_EQ(site.session().phase(), status.ok() ? ClientPhase::kCommitted : ClientPhase::kAborted);
    return status.code();
  };
  EXPECT_EQ(answer([](ShareDelivery&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(answer([](ShareDelivery& d) { d.inbox[1].share.sealed[5] ^= 1; }), kDataLoss);
  EXPECT_EQ(answer([](ShareDelivery& d) { d.inbox[1].share.key_hash = crypto::Sha256("x"); }), kDataLoss);
  EXPECT_EQ(answer([](ShareDelivery& d) { d.inbox[1].path.pop_back(); }), kDataLoss);
  EXPECT_EQ(answer([](ShareDelivery& d) { d.inbox.pop_back(); }), kDataLoss);
  EXPECT_EQ(answer([](ShareDelivery& d) { std::swap(d.inbox[0], d.inbox[1]); }), kDataLoss);
  EXPECT_EQ(answer([](ShareDelivery& d) { d.inbox.push_back(d.inbox[0]); }), kDataLoss);
  EXPECT_EQ(answer([&](ShareDelivery& d) { d.inbox[1] = of_other.inbox[1]; }), kDataLoss) << "meant for site 2";
  EXPECT_EQ(answer([](ShareDelivery& d) { d.roots.pop_back(); }), kDataLoss) << "a share of a site that did not share";
  EXPECT_EQ(answer([](ShareDelivery& d) { std::swap(d.roots[1], d.roots[2]); }), kInvalid);
  EXPECT_EQ(answer([](ShareDelivery& d) { d.roots[1] = d.roots[2]; }), kInvalid);
  EXPECT_EQ(answer([](ShareDelivery& d) {
              d.roots.resize(2);
              d.inbox.resize(1);
            }),
            kFailedPrecondition)
      << "fewer sharers than the threshold";
  EXPECT_EQ(answer([](ShareDelivery& d) { d.roots.erase(d.roots.begin()); }), kAborted) << "without this site";
  EXPECT_EQ(answer([](ShareDelivery& d) {
              ShareRoot root = DecodeShareRoot(d.roots[2]).value();
              root.root = crypto::Sha256("x");
              d.roots[2] = Encode(root);
            }),
            kUnauthenticated);
  EXPECT_EQ(answer([](ShareDelivery& d) {
              ShareRoot root = DecodeShareRoot(d.roots[0]).value();
              root.root = crypto::Sha256("x");
              root.signature = SharedConsortium().site(1).Sign(kShareRootDomain, SignedPart(root));
              d.roots[0] = Encode(root);
            }),
            kAborted)
      << "other shares of this site, even with its own signature";
}

TEST(AdversaryTest, SurvivorListsThatWereTamperedWith) {
  TestSum sum(5);
  Advance(sum, 1);
  sum.Answer({1, 2, 3, 4});  // site 5 never shared
  ASSERT_TRUE(sum.server().Close().ok());
  sum.Answer({1, 2, 3, 4});
  ASSERT_TRUE(sum.server().Close().ok());
  const std::vector<Bytes> heard = sum.server().MessagesFor(SiteNumber(1));
  const SurvivorList good = DecodeSurvivorList(heard[2]).value();
  const auto answer = [&](const std::function<void(SurvivorList&)>& change) {
    TestSite site(1, TestParams());
    site.Advertise();
    for (size_t m = 0; m < 2; ++m) site.MustDeliver(heard[m]);
    SurvivorList list = good;
    change(list);
    const absl::Status status = site.Deliver(Encode(list)).status();
    EXPECT_EQ(site.session().phase(), status.ok() ? ClientPhase::kConfirmed : ClientPhase::kAborted);
    return status.code();
  };
  EXPECT_EQ(answer([](SurvivorList&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(answer([](SurvivorList& l) { l.commits.pop_back(); }), kFailedPrecondition) << "fewer than the threshold";
  EXPECT_EQ(answer([](SurvivorList& l) { l.commits[1] = l.commits[2]; }), kInvalid);
  EXPECT_EQ(answer([](SurvivorList& l) { l.ctx2 = crypto::Sha256("x"); }), kAborted);
  // Site 5 conspires and signs a commit although its masks are in nobody's vector.
  const auto commit_of = [&](int number, const std::function<void(MaskedCommit&)>& change) {
    MaskedCommit commit = DecodeMaskedCommit(good.commits[0]).value();
    commit.site = SiteNumber(number);
    change(commit);
    commit.signature = SharedConsortium().site(number).Sign(DomainOf(MessageType::kMaskedCommit), SignedPart(commit));
    return Encode(commit);
  };
  EXPECT_EQ(answer([&](SurvivorList& l) { l.commits.push_back(commit_of(5, [](MaskedCommit&) {})); }), kAborted);
  EXPECT_EQ(answer([&](SurvivorList& l) { l.commits.push_back(commit_of(6, [](MaskedCommit&) {})); }),
            kUnauthenticated);
  EXPECT_EQ(answer([&](SurvivorList& l) {
              l.commits[0] = commit_of(1, [](MaskedCommit& c) { c.vectors[0].digest = crypto::Sha256("x"); });
            }),
            kAborted)
      << "another commit of this site, even with its own signature";
  EXPECT_EQ(
      answer([&](SurvivorList& l) { l.commits[3] = commit_of(4, [](MaskedCommit& c) { c.vectors[0].length = 1; }); }),
      kInvalid);
}

TEST(AdversaryTest, ASiteThatCommittedIsNotDeclaredDead) {
  TestSum sum(5);
  Advance(sum, 3);
  SurvivorList list = DecodeSurvivorList(sum.server().MessagesFor(SiteNumber(1)).back()).value();
  list.commits.erase(list.commits.begin());
  EXPECT_EQ(sum.site(1).Deliver(Encode(list)).status().code(), kAborted);
}

// Two stories of who survived. However the coordinator splits the sites, at most one story is ever unmasked: two sets
// of t signers share an honest site, and an honest site signs one story.
TEST(AdversaryTest, TwoListsOfSurvivorsNeverBothUnmask) {
  const int n = 4;
  TestSum all(n);
  Advance(all, 3);
  TestSum fewer(n);
  Advance(fewer, 2);
  fewer.Answer({1, 2, 3});
  ASSERT_TRUE(fewer.server().Close().ok());
  for (uint32_t split = 0; split < (1u << n); ++split) {
    SignatureSet sets[2];
    std::map<int, TestSite> sites;
    for (int i = 1; i <= n; ++i) {
      const int story = static_cast<int>(split >> (i - 1) & 1);
      if (story == 1 && i == 4) continue;  // it is not in the second story at all
      TestSum& told = story == 0 ? all : fewer;
      TestSite& site = sites.emplace(i, TestSite(i, TestParams())).first->second;
      site.Advertise();
      Bytes reply;
      for (const Bytes& message : told.server().MessagesFor(SiteNumber(i))) reply = site.MustDeliver(message);
      sets[story].ctx2 = DecodeConsistency(reply)->ctx2;
      sets[story].consistencies.push_back(reply);
    }
    size_t released[2] = {0, 0};
    for (auto& [i, site] : sites) {
      const int story = static_cast<int>(split >> (i - 1) & 1);
      const auto reply = site.Deliver(Encode(sets[story]));
      if (!reply.ok()) continue;
      ++released[story];
      const Unmask unmask = DecodeUnmask(reply->value()).value();
      for (const Reveal& reveal : unmask.reveals) {
        const bool alive = story == 0 || reveal.owner != SiteNumber(4);
        EXPECT_EQ(std::holds_alternative<SelfMaskShare>(reveal.share), alive);
        EXPECT_EQ(std::holds_alternative<KeyShare>(reveal.share), !alive);
      }
    }
    EXPECT_TRUE(released[0] == 0 || released[1] == 0) << split;
    EXPECT_EQ(released[0], sets[0].consistencies.size() >= 3 ? sets[0].consistencies.size() : 0);
  }
}

TEST(AdversaryTest, SignatureSetsThatWereTamperedWith) {
  TestSum sum(5);
  Advance(sum, 4);
  const std::vector<Bytes> heard = sum.server().MessagesFor(SiteNumber(1));
  const SignatureSet good = DecodeSignatureSet(heard[3]).value();
  const auto answer = [&](const std::function<void(SignatureSet&)>& change) {
    TestSite site(1, TestParams());
    site.Advertise();
    for (size_t m = 0; m < 3; ++m) site.MustDeliver(heard[m]);
    SignatureSet set = good;
    change(set);
    const absl::Status status = site.Deliver(Encode(set)).status();
    EXPECT_EQ(site.session().phase(), status.ok() ? ClientPhase::kFinished : ClientPhase::kAborted);
    return status.code();
  };
  EXPECT_EQ(answer([](SignatureSet&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(answer([](SignatureSet& s) { s.consistencies.pop_back(); }), absl::StatusCode::kOk) << "four of five do";
  EXPECT_EQ(answer([](SignatureSet& s) { s.consistencies.resize(3); }), kFailedPrecondition);
  EXPECT_EQ(answer([](SignatureSet& s) { s.consistencies[1] = s.consistencies[2]; }), kInvalid);
  EXPECT_EQ(answer([](SignatureSet& s) { s.consistencies[1].back() ^= 1; }), kUnauthenticated);
  EXPECT_EQ(answer([](SignatureSet& s) {
              Consistency other = DecodeConsistency(s.consistencies[4]).value();
              other.survivors = crypto::Sha256("another list");
              other.signature = SharedConsortium().site(5).Sign(DomainOf(MessageType::kConsistency), SignedPart(other));
              s.consistencies[4] = Encode(other);
            }),
            kAborted);
}

// Site 5 has not survived and conspires: its word does not count towards the threshold of those who confirm.
TEST(AdversaryTest, AConfirmationOfASiteThatDidNotSurvive) {
  TestSum sum(5);
  Advance(sum, 2);
  for (int phase = 2; phase < 4; ++phase) {
    sum.Answer({1, 2, 3, 4});
    ASSERT_TRUE(sum.server().Close().ok());
  }
  SignatureSet set = DecodeSignatureSet(sum.server().MessagesFor(SiteNumber(1)).back()).value();
  Consistency fifth = DecodeConsistency(set.consistencies[3]).value();
  fifth.site = SiteNumber(5);
  fifth.signature = SharedConsortium().site(5).Sign(DomainOf(MessageType::kConsistency), SignedPart(fifth));
  set.consistencies[3] = Encode(fifth);
  const absl::Status refused = sum.site(1).Deliver(Encode(set)).status();
  EXPECT_EQ(refused.code(), kAborted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("site-05 confirms survivors without being one"));
}

TEST(AdversaryTest, ASecondUnmaskRequest) {
  TestSum sum(5);
  Advance(sum, 4);
  const Bytes first = sum.server().MessagesFor(SiteNumber(1)).back();
  SignatureSet other = DecodeSignatureSet(first).value();
  other.consistencies.pop_back();
  TestSite& site = sum.site(1);
  const Bytes reply = site.MustDeliver(first);
  EXPECT_EQ(site.MustDeliver(first), reply) << "the same request, the same answer";
  EXPECT_EQ(site.Deliver(Encode(other)).status().code(), kFailedPrecondition);
  EXPECT_EQ(site.Deliver(first).status().code(), kFailedPrecondition) << "and that was the end of it";
}

TEST(AdversaryTest, ReplayOfAnotherRoundOrAttempt) {
  TestSum old(4);
  Advance(old, 4);
  const std::vector<Bytes> old_messages = old.server().MessagesFor(SiteNumber(1));
  for (const bool other_round : {true, false}) {
    SumParams params = TestParams();
    (other_round ? params.round : params.attempt) += 1;
    TestSum now(4, params);
    Advance(now, 4);
    const std::vector<Bytes> messages = now.server().MessagesFor(SiteNumber(1));
    for (size_t replayed = 0; replayed < messages.size(); ++replayed) {
      TestSite site(1, params);
      site.Advertise();
      for (size_t m = 0; m < replayed; ++m) site.MustDeliver(messages[m]);
      EXPECT_EQ(site.Deliver(old_messages[replayed]).status().code(), kAborted) << replayed;
    }
  }
}

TEST(AdversaryTest, OutOfTurn) {
  TestSum sum(4);
  Advance(sum, 4);
  const std::vector<Bytes> messages = sum.server().MessagesFor(SiteNumber(1));
  for (size_t heard = 0; heard < messages.size(); ++heard) {
    for (size_t next = heard + 1; next < messages.size(); ++next) {
      TestSite site(1, TestParams());
      site.Advertise();
      for (size_t m = 0; m < heard; ++m) site.MustDeliver(messages[m]);
      EXPECT_EQ(site.Deliver(messages[next]).status().code(), kFailedPrecondition) << heard << " " << next;
      EXPECT_EQ(site.session().phase(), ClientPhase::kAborted);
    }
  }
  TestSite silent(1, TestParams());
  EXPECT_FALSE(silent.Deliver(messages[0]).ok()) << "before it advertised";
  TestSite site(1, TestParams());
  EXPECT_EQ(site.Deliver(site.Advertise()).status().code(), kInvalid) << "a site's own message";
}

}  // namespace
}  // namespace cloister::secagg
