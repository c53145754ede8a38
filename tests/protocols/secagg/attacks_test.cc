// SPDX-License-Identifier: Apache-2.0
// The attacks of a malicious coordinator, one test each; the letters are those of docs/secagg.md. Against real sessions
// each ends in a refusal that names the evidence, and what the coordinator has heard by then does not give the vector
// of its victim, even together with conspiring sites. That it would be found if it could: extractor_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/crypto/x25519.h"
#include "tests/protocols/secagg/attack_harness.h"

namespace cloister::secagg {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(AttackTest, A_TwoModels) {
  SumParams other = AttackedParams();
  other.model_root = crypto::Sha256("another model");
  std::vector<Bytes> adverts = Adverts({1, 2, 3, 4, 5, 6});
  adverts.push_back(AdvertsOf({7}, other)[0]);
  ExpectRosterRefused(adverts,
                      AllOf(HasSubstr("site-07 speaks of another model"), HasSubstr(ContextOf(other).short_hex()),
                            HasSubstr(ContextOf(AttackedParams()).short_hex())));
  EXPECT_EQ(MakeServer(AttackedParams(), kSites).Handle(SiteNumber(7), adverts[6]).code(), absl::StatusCode::kAborted)
      << "an honest coordinator does not even forward it";
}

// Site 5 hears of six sites, or of seven of which one that conspires has another key. Its shares are signed for that.
TEST(AttackTest, B_TwoRosters) {
  std::vector<Bytes> another_key = Adverts({1, 2, 3, 4, 5, 6, 7});
  Advert seventh = DecodeAdvert(another_key[6]).value();
  seventh.mask_key = crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32))->public_key();
  another_key[6] = SignedAdvert(seventh, SharedConsortium().site(7));
  for (const std::vector<Bytes>& adverts : {Adverts({1, 2, 3, 4, 5, 6}), another_key}) {
    TestSite fifth = NewSite(5);
    fifth.Advertise();
    const Bytes of_other_roster = fifth.MustDeliver(Encode(Roster{adverts}));
    EXPECT_EQ(SumAfter(1).server().Handle(SiteNumber(5), of_other_roster).code(), absl::StatusCode::kAborted);

    TestSum sum = SumAfter(2);
    ShareDelivery delivery = DecodeShareDelivery(sum.server().MessagesFor(SiteNumber(1)).back()).value();
    delivery.roots[4] = DecodeShares(of_other_roster)->root;
    ExpectRefused(sum.site(1), Encode(delivery), HasSubstr("site-05 speaks of another roster"));
    ExpectNothingSent(sum.site(1));
  }
}

// One roster, but two stories of who shared, or of what a site that conspires has shared: the keys of the masks differ,
// and the commits tell.
TEST(AttackTest, C_TwoSetsOfSharers) {
  for (const bool fewer : {true, false}) {
    TestSum sum = SumAfter(2);
    TestSum other = SumAfter(1);
    other.Answer({1, 2, 3, 4, 5, 6});
    if (!fewer) {
      const Bytes twice = ResignedShares(DecodeShares(other.ReplyOf(7)).value(), 7,
                                         [](Shares& shares, ShareRoot&) { shares.entries[2].sealed[0] ^= 1; });
      ASSERT_TRUE(other.server().Handle(SiteNumber(7), twice).ok());
    }
    ASSERT_TRUE(other.server().Close().ok());
    std::vector<Bytes> commits;
    for (const int i : {1, 2, 3}) commits.push_back(sum.ReplyOf(i));
    for (const int i : {4, 5, 6}) commits.push_back(other.ReplyOf(i));
    EXPECT_EQ(sum.server().Handle(SiteNumber(4), commits[3]).code(), absl::StatusCode::kAborted);
    ExpectRefused(sum.site(1), Encode(SurvivorList{DecodeMaskedCommit(commits[0])->ctx2, commits}),
                  HasSubstr("site-04 speaks of another roster or set of sharers"));
    Extractor extractor;
    for (const int i : {1, 2, 3}) extractor.Hear(sum.site(i));
    for (const int i : {4, 5, 6}) extractor.Corrupt(other.site(i));
    extractor.Corrupt(sum.site(7));
    ExpectSafe(extractor, sum.site(1));

    // Were the two stories added up, with everybody's own mask taken off, the masks of pairs between them would stay.
    std::vector<uint32_t> mixed(kElements);
    for (const int i : {1, 2, 3, 4, 5, 6}) {
      const TestSite& site = i <= 3 ? sum.site(i) : other.site(i);
      const Digest ctx2 = DecodeMaskedCommit(commits[static_cast<size_t>(i - 1)])->ctx2;
      const SiteSecrets secrets = DeriveSecrets(ContextOf(sum.params()), site.id(), site.Inputs().job_secret);
      std::vector<MaskKey> own(1);
      own[0] = {SelfMaskKey(ctx2, secrets.self_mask, site.id(), "update"), false};
      std::vector<uint32_t> vector = site.masked().update;
      MaskStreams::Create(own, 32).Apply(0, absl::Span<uint32_t>(vector));
      for (size_t k = 0; k < vector.size(); ++k) mixed[k] += vector[k];
    }
    EXPECT_LT(ChiSquareOfBytes(mixed), kMostChiSquare);
  }
}

// The two sums would differ by site 5. Two sets of t signers share an honest site, and that one signs one list.
TEST(AttackTest, D_TwoListsOfSurvivors) {
  ForEverySplit([](const std::set<int>& told_second) {
    TwoLists attack(kConspirators, 5, told_second);
    EXPECT_FALSE(attack.released(0) && attack.released(1));
    const TestSite fifth = NewSite(5);
    ExpectSafe(attack.extractor(), fifth);
    const TestSite first = NewSite(1);
    ExpectSafe(attack.extractor(), first);
  });
}

// The same survivors, but of one that conspires another commit: a list is what its members committed to.
TEST(AttackTest, D_TwoCommitsOfOneSurvivor) {
  TestSum sum = SumAfter(3);
  const Bytes first = sum.server().MessagesFor(SiteNumber(1)).back();
  SurvivorList second = DecodeSurvivorList(first).value();
  MaskedCommit commit = DecodeMaskedCommit(second.commits[6]).value();
  commit.vectors[0].digest = crypto::Sha256("another upload");
  commit.signature = SharedConsortium().site(7).Sign(DomainOf(MessageType::kMaskedCommit), SignedPart(commit));
  second.commits[6] = Encode(commit);
  SignatureSet set{second.ctx2, {}};
  for (const int i : {1, 2, 3, 4, 5}) set.consistencies.push_back(sum.site(i).MustDeliver(first));
  set.consistencies.push_back(sum.site(6).MustDeliver(Encode(second)));
  ExpectRefused(sum.site(1), Encode(set), HasSubstr("site-06 signed another list of survivors"));
  Extractor extractor = ListenTo(sum);
  ExpectSafe(extractor, sum.site(1));
}

// Shares of the victim's own mask from those who hear that it survived, of its mask key from the others.
TEST(AttackTest, E_AliveAndDead) {
  ForEverySplit([](const std::set<int>& told_second) {
    TwoLists attack(kConspirators, 1, told_second);
    EXPECT_FALSE(attack.released(0) && attack.released(1));
    const TestSite victim = NewSite(1);
    ExpectSafe(attack.extractor(), victim);
  });
  // The victim itself is not told that it is dead.
  TestSum sum = SumAfter(3);
  SurvivorList list = DecodeSurvivorList(sum.server().MessagesFor(SiteNumber(1)).back()).value();
  list.commits.erase(list.commits.begin());
  ExpectRefused(sum.site(1), Encode(list), HasSubstr("this site was left out of the survivors"));
}

// After the shares of its own mask, those of the victim's mask key: from sites that are still there, and from sites
// that were killed and know only what they stored.
TEST(AttackTest, F_ASecondUnmaskRequest) {
  TestSum sum = SumAfter(5);
  for (const int i : {2, 3}) {
    TestSite& site = sum.site(i);
    const std::vector<Bytes> heard = sum.server().MessagesFor(site.id());
    const Bytes reply = site.conversations().back().said.back();
    EXPECT_EQ(site.MustDeliver(heard.back()), reply) << "the same request, the same answer";
    SurvivorList list = DecodeSurvivorList(heard[2]).value();
    const Digest confirmed = SurvivorDigest(list.ctx2, list.commits);
    list.commits.erase(list.commits.begin());
    const Digest now = SurvivorDigest(list.ctx2, list.commits);
    ExpectRefused(site, Encode(list), HasSubstr("job-1 round 7 (training, attempt 0): a message that is not due"));
    site.Start();
    site.Advertise();
    for (size_t m = 0; m < 2; ++m) site.MustDeliver(heard[m]);
    ExpectRefused(site, Encode(list), AllOf(HasSubstr(confirmed.short_hex()), HasSubstr(now.short_hex())));
  }
  Extractor extractor = ListenTo(sum);
  ExpectSafe(extractor, sum.site(1), kSites - (kThreshold - 1));
}

TEST(AttackTest, G_ReplayOfAnotherRoundOrAttempt) {
  TestSum old = SumAfter(4);
  const std::vector<Bytes> old_messages = old.server().MessagesFor(SiteNumber(1));
  for (const bool other_round : {true, false}) {
    SumParams params = AttackedParams();
    (other_round ? params.round : params.attempt) += 1;
    TestSum now = SumAfter(4, params);
    const std::vector<Bytes> messages = now.server().MessagesFor(SiteNumber(1));
    for (size_t replayed = 0; replayed < messages.size(); ++replayed) {
      TestSite victim = NewSite(1, params);
      victim.Advertise();
      for (size_t m = 0; m < replayed; ++m) victim.MustDeliver(messages[m]);
      ExpectRefused(victim, old_messages[replayed], HasSubstr("speaks of another"));
    }
    Extractor extractor = ListenTo(old);
    for (const int i : kAll) extractor.Hear(now.site(i));
    ExpectSafe(extractor, now.site(1), kSites - (kThreshold - 1));
  }
}

TEST(AttackTest, H_SwappedKeys) {
  const std::vector<Bytes> good = Adverts({1, 2, 3, 4, 5, 6, 7});
  for (Bytes Advert::*key : {&Advert::channel_key, &Advert::mask_key}) {
    std::vector<Bytes> adverts = good;
    Advert second = DecodeAdvert(good[1]).value();
    second.*key = crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32))->public_key();
    adverts[1] = Encode(second);
    ExpectRosterRefused(adverts, HasSubstr("advert of site site-02"));
    // Its own key in the victim's place, for the others to see: the victim would mask for nobody.
    adverts = good;
    Advert first = DecodeAdvert(good[0]).value();
    first.*key = second.*key;
    adverts[0] = SignedAdvert(first, SharedConsortium().site(1));
    ExpectRosterRefused(adverts, HasSubstr("the roster has another advert of this site"));
  }
}

TEST(AttackTest, I_ForgedSites) {
  const std::vector<Bytes> good = Adverts({1, 2, 3, 4, 5, 6, 7});
  const Advert seventh = DecodeAdvert(good[6]).value();
  TestConsortium foreign("Another consortium");
  const std::vector<std::pair<Bytes, std::string>> forged = {
      {SignedAdvert(seventh, foreign.site(7)), "site-07"},
      {SignedAdvert(seventh, SharedConsortium().SignerOf("site-07", crypto::Role::kOperator)), "site-07"},
      {SignedAdvert(seventh, SharedConsortium().site(6)), "an advert of site site-07 with the certificate of site-06"},
  };
  for (const auto& [advert, evidence] : forged) {
    std::vector<Bytes> adverts = good;
    adverts[6] = advert;
    ExpectRosterRefused(adverts, HasSubstr(evidence));
  }
}

TEST(AttackTest, J_ASiteTwice) {
  std::vector<Bytes> adverts = Adverts({1, 2, 3, 4, 5, 6, 7});
  adverts.insert(adverts.begin() + 2, adverts[1]);
  ExpectRosterRefused(adverts, HasSubstr("site-02 is in the roster twice"));
  Advert again = DecodeAdvert(adverts[1]).value();
  again.channel_key = crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32))->public_key();
  again.mask_key = crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32))->public_key();
  adverts[2] = SignedAdvert(again, SharedConsortium().site(2));
  ExpectRosterRefused(adverts, HasSubstr("site-02 is in the roster twice"));
  ExpectRosterRefused(Adverts({1, 3, 2, 4, 5, 6, 7}), HasSubstr("site-02 is in the roster twice or out of order"));
}

// No message carries t or n_min: the coordinator can only act as if they were lower, or tell others so.
TEST(AttackTest, K_LoweredThresholdOrMinimum) {
  SumParams lower = AttackedParams();
  lower.n_min = kCohortFloor;
  std::vector<Bytes> adverts = AdvertsOf({2, 3, 4, 5, 6, 7}, lower);
  adverts.insert(adverts.begin(), Adverts({1})[0]);
  ExpectRosterRefused(adverts, AllOf(HasSubstr("site-02"), HasSubstr(ContextOf(lower).short_hex())));
  ExpectRosterRefused(Adverts({1, 2, 3, 4}), HasSubstr("4 sites, wanted 5 to 128"));
  ExpectRosterRefused({}, HasSubstr("0 sites, wanted 5 to 128"));

  TestSum sum = SumAfter(4);
  const auto refuse = [&](size_t heard, const Bytes& message, const char* evidence) {
    TestSite victim = NewSite(1);
    victim.Advertise();
    for (size_t m = 0; m < heard; ++m) victim.MustDeliver(sum.server().MessagesFor(victim.id())[m]);
    ExpectRefused(victim, message, HasSubstr(evidence));
    Extractor extractor = ListenTo(sum);
    extractor.Hear(victim);
    ExpectSafe(extractor, victim);
  };
  const std::vector<Bytes> heard = sum.server().MessagesFor(SiteNumber(1));
  ShareDelivery delivery = DecodeShareDelivery(heard[1]).value();
  delivery.roots.resize(kThreshold - 1);
  delivery.inbox.resize(kThreshold - 2);
  refuse(1, Encode(delivery), "4 sites shared their secrets, wanted 5");
  SurvivorList list = DecodeSurvivorList(heard[2]).value();
  list.commits.resize(kThreshold - 1);
  refuse(2, Encode(list), "4 survivors, wanted 5");
  SignatureSet set = DecodeSignatureSet(heard[3]).value();
  set.consistencies.resize(kThreshold - 1);
  refuse(3, Encode(set), "4 sites confirmed the survivors, wanted 5");
}

// The graph is full, so a neighbour of the coordinator's choice is one that is missing, or one too many.
TEST(AttackTest, L_AnotherGraph) {
  for (const bool fewer : {true, false}) {
    TestSum sum = SumAfter(2);
    ShareDelivery delivery = DecodeShareDelivery(sum.server().MessagesFor(SiteNumber(1)).back()).value();
    if (fewer) {
      delivery.inbox.erase(delivery.inbox.begin(), delivery.inbox.begin() + 2);
    } else {
      delivery.inbox.push_back(delivery.inbox.back());
    }
    ExpectRefused(sum.site(1), Encode(delivery),
                  HasSubstr(fewer ? "the share of site site-02 is missing" : "more shares than sharers"));
    ExpectNothingSent(sum.site(1));
  }
}

// Site 7 conspires and signs a commit although its masks are in nobody's vector.
TEST(AttackTest, M_SurvivorsThatNeverShared) {
  TestSum sum = SumAfter(1);
  for (int phase = 1; phase < 3; ++phase) {
    sum.Answer({1, 2, 3, 4, 5, 6});
    ASSERT_TRUE(sum.server().Close().ok());
  }
  SurvivorList list = DecodeSurvivorList(sum.server().MessagesFor(SiteNumber(1)).back()).value();
  MaskedCommit commit = DecodeMaskedCommit(list.commits[0]).value();
  commit.site = SiteNumber(7);
  commit.signature = SharedConsortium().site(7).Sign(DomainOf(MessageType::kMaskedCommit), SignedPart(commit));
  list.commits.push_back(Encode(commit));
  ExpectRefused(sum.site(1), Encode(list), HasSubstr("survivor site-07 never shared its secrets"));
  Extractor extractor = ListenTo(sum);
  ExpectSafe(extractor, sum.site(1));
}

// Every length is tried on the decoders in messages_test.cc; here the session ends, and no part of it is acted on.
TEST(AttackTest, N_TruncatedMessages) {
  TestSum sum = SumAfter(4);
  const std::vector<Bytes> heard = sum.server().MessagesFor(SiteNumber(1));
  for (size_t cut = 0; cut < heard.size(); ++cut) {
    for (const size_t size : {size_t{0}, size_t{1}, heard[cut].size() / 2, heard[cut].size() - 1}) {
      TestSite victim = NewSite(1);
      victim.Advertise();
      for (size_t m = 0; m < cut; ++m) victim.MustDeliver(heard[m]);
      const size_t said = victim.conversations().back().said.size();
      ExpectRefused(victim, heard[cut].substr(0, size), ::testing::Not(::testing::IsEmpty()));
      EXPECT_EQ(victim.conversations().back().said.size(), said);
      Extractor extractor = ListenTo(sum);
      extractor.Hear(victim);
      ExpectSafe(extractor, victim);
    }
  }
}

// Without the seed the coordinator makes no tag that fits other totals; check_tag_test.cc tries every element, and the
// message with the evidence is CheckSumResult's (protocols/plan). A conspirator knows the seed: that costs the check,
// and no vector.
TEST(AttackTest, O_WrongTotalsOrTag) {
  TestSum sum = SumAfter(5);
  const SiteVectors totals = sum.Result();
  const uint64_t tag = sum.server().published()->tag;
  SiteVectors forged = totals;
  forged.update[17] += 1000;
  for (const int i : kAll) {
    const SumCheck& check = *sum.site(i).session().check();
    EXPECT_EQ(TagOf(check.seed, sum.params(), totals), tag);
    EXPECT_NE(TagOf(check.seed, sum.params(), totals), FieldAdd(tag, 1));
    EXPECT_NE(TagOf(check.seed, sum.params(), forged), tag);
  }
  Extractor extractor = ListenTo(sum);
  ExpectSafe(extractor, sum.site(1), kSites - (kThreshold - 1));
}

// The victim alone among conspirators, or left out of what its masks were made for.
TEST(AttackTest, P_ARosterWithoutTheVictimOrItsNeighbours) {
  ExpectRosterRefused(Adverts({2, 3, 4, 5, 6, 7}), HasSubstr("this site was left out of the roster"));
  ExpectRosterRefused(Adverts({1, 6, 7}), HasSubstr("3 sites, wanted 5 to 128"));
  TestSum sum = SumAfter(2);
  ShareDelivery delivery = DecodeShareDelivery(sum.server().MessagesFor(SiteNumber(1)).back()).value();
  delivery.roots.erase(delivery.roots.begin());
  ExpectRefused(sum.site(1), Encode(delivery), HasSubstr("this site was left out of the sharers"));
  ExpectNothingSent(sum.site(1));
  // In the smallest roster that the plan allows, its conspirators leave the victim among three honest sites.
  TestSum smallest(5, AttackedParams());
  for (int i = 1; i <= 5; ++i) smallest.site(i).set_plain(SmallNumbers(i));
  smallest.Run(Attendance::Everybody(5));
  Extractor extractor;
  for (const int i : {1, 2, 3}) extractor.Hear(smallest.site(i));
  for (const int i : {4, 5}) extractor.Corrupt(smallest.site(i));
  ExpectSafe(extractor, smallest.site(1), 3);
}

}  // namespace
}  // namespace cloister::secagg
