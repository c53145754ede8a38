// SPDX-License-Identifier: Apache-2.0
// Messages that a malicious coordinator tampered with, field by field, and the sites' real sessions: each is refused.
// What it is after is in attacks_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

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

// How site 1 answers a roster of these adverts.
absl::Status AnswerToRoster(const std::vector<Bytes>& adverts, const SumParams& params = TestParams()) {
  TestSite site(1, params);
  site.Advertise();
  const absl::Status status = site.Deliver(Encode(Roster{adverts})).status();
  EXPECT_EQ(site.session().phase(), status.ok() ? ClientPhase::kShared : ClientPhase::kAborted);
  return status;
}

TEST(AdversaryTest, OtherCertificatesAndStrangers) {
  Advert third = DecodeAdvert(AdvertsOf({3})[0]).value();
  Advert with_tls = third;
  with_tls.certificate =
      crypto::Certificate::FromPem(SharedConsortium().Tls("site-03", crypto::Role::kSite).certificate_pem)->der();
  std::vector<Bytes> adverts = AdvertsOf({1, 2});
  adverts.push_back(Encode(with_tls));
  EXPECT_EQ(AnswerToRoster(adverts).code(), kInvalid);

  SumParams closed = TestParams();
  closed.participants = {SiteNumber(1), SiteNumber(2), SiteNumber(4)};
  EXPECT_EQ(AnswerToRoster(AdvertsOf({1, 2, 4}, closed), closed).code(), absl::StatusCode::kOk);
  std::vector<Bytes> with_stranger = AdvertsOf({1, 2}, closed);
  third.ctx0 = ContextOf(closed);
  with_stranger.push_back(SignedAdvert(third, SharedConsortium().site(3)));
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

TEST(AdversaryTest, AKeyTwiceAndAKeyOfLowOrder) {
  const std::vector<Bytes> good = AdvertsOf({1, 2, 3}, TestParams());
  const Advert second = DecodeAdvert(good[1]).value();
  Advert third = DecodeAdvert(good[2]).value();
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
  const auto commit_of = [&](int number, const std::function<void(MaskedCommit&)>& change) {
    MaskedCommit commit = DecodeMaskedCommit(good.commits[0]).value();
    commit.site = SiteNumber(number);
    change(commit);
    commit.signature = SharedConsortium().site(number).Sign(DomainOf(MessageType::kMaskedCommit), SignedPart(commit));
    return Encode(commit);
  };
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
