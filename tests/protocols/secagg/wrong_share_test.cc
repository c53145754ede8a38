// SPDX-License-Identifier: Apache-2.0
// Sites that deal or reveal wrong shares: named, and harmless while a threshold of good ones is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "protocols/crypto/aead.h"
#include "protocols/secagg/culprit.h"
#include "protocols/secagg/dealing.h"
#include "protocols/secagg/transcript.h"
#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

using ::testing::HasSubstr;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

void AnswerAll(TestSum& sum, const std::set<int>& who) {
  sum.Answer(who);
  ASSERT_TRUE(sum.server().Close().ok());
}

Bytes Resigned(Unmask unmask, int number) {
  unmask.signature = SharedConsortium().site(number).Sign(DomainOf(MessageType::kUnmask), SignedPart(unmask));
  return Encode(unmask);
}

void Spoil(Reveal& reveal) {
  std::visit([](auto& share) { share.share.limbs()[2] = FieldAdd(share.share.limbs()[2], 1); }, reveal.share);
}

// A sum of 5 (threshold 4) in which site 5 drops out before its masked input, at the point of unmasking.
TestSum ReadyToUnmask() {
  TestSum sum(5);
  AnswerAll(sum, {1, 2, 3, 4, 5});
  AnswerAll(sum, {1, 2, 3, 4, 5});
  AnswerAll(sum, {1, 2, 3, 4});
  AnswerAll(sum, {1, 2, 3, 4});
  return sum;
}

TEST(WrongShareTest, AHolderThatRevealsAWrongShareIsNamed) {
  for (size_t spoiled = 0; spoiled < 5; ++spoiled) {  // shares of b of 1 to 4, of the mask key of 5
    TestSum sum(5);
    AnswerAll(sum, {1, 2, 3, 4, 5});
    AnswerAll(sum, {1, 2, 3, 4, 5});
    const bool five_survives = spoiled < 4;
    const std::set<int> survivors = five_survives ? std::set<int>{1, 2, 3, 4, 5} : std::set<int>{1, 2, 3, 4};
    AnswerAll(sum, survivors);
    AnswerAll(sum, survivors);
    Unmask unmask = DecodeUnmask(sum.ReplyOf(2)).value();
    Spoil(unmask.reveals[spoiled]);
    ASSERT_TRUE(sum.server().Handle(SiteNumber(2), Resigned(unmask, 2)).ok());
    ASSERT_EQ(sum.server().blames().size(), 1u);
    EXPECT_EQ(sum.server().blames()[0].site, SiteNumber(2));
    EXPECT_THAT(sum.server().blames()[0].what, HasSubstr("does not match the hash"));
    sum.Answer({1, 3, 4});
    if (five_survives) {
      EXPECT_FALSE(sum.server().CanClose().ok());
      sum.Answer({5});
      ASSERT_TRUE(sum.server().Close().ok());
      EXPECT_EQ(sum.Result(), sum.Oracle());
    } else {
      const absl::Status closed = sum.server().Close();
      EXPECT_EQ(closed.code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_THAT(std::string(closed.message()), HasSubstr("site-05"));
      EXPECT_THAT(std::string(closed.message()), HasSubstr("3 good shares, wanted 4"));
    }
  }
}

TEST(WrongShareTest, RevealsOfTheWrongKindNumberOrOrderAreRefused) {
  TestSum sum = ReadyToUnmask();
  const Unmask good = DecodeUnmask(sum.ReplyOf(1)).value();
  const auto answer = [&](const std::function<void(Unmask&)>& change) {
    Unmask unmask = good;
    change(unmask);
    return sum.server().Handle(SiteNumber(1), Resigned(unmask, 1)).code();
  };
  const ShamirShare any = std::get<SelfMaskShare>(good.reveals[0].share).share;
  EXPECT_EQ(answer([&](Unmask& u) { u.reveals[1].share = KeyShare{any}; }), kInvalid) << "alive, as if dead";
  EXPECT_EQ(answer([&](Unmask& u) { u.reveals[4].share = SelfMaskShare{any}; }), kInvalid) << "dead, as if alive";
  EXPECT_EQ(answer([](Unmask& u) { u.reveals.pop_back(); }), kInvalid);
  EXPECT_EQ(answer([](Unmask& u) { std::swap(u.reveals[0], u.reveals[1]); }), kInvalid);
  EXPECT_EQ(answer([](Unmask& u) { u.reveals[1] = u.reveals[0]; }), kInvalid);
  EXPECT_EQ(answer([](Unmask& u) { u.survivors = crypto::Sha256("x"); }), absl::StatusCode::kAborted);
  EXPECT_EQ(answer([](Unmask& u) { u.ctx2 = crypto::Sha256("x"); }), absl::StatusCode::kAborted);
  EXPECT_EQ(sum.server().Handle(SiteNumber(1), Resigned(good, 2)).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(sum.server().blames().empty());
  EXPECT_EQ(answer([](Unmask&) {}), absl::StatusCode::kOk);
  AnswerAll(sum, {2, 3, 4});
  EXPECT_EQ(sum.Result(), sum.Oracle());
}

// What site `number` deals when it lies about its secrets: everything signed and hashed properly.
Bytes DealtBy(TestSum& sum, int number, const std::function<void(SiteSecrets&)>& lie) {
  const SumParams& params = sum.params();
  const Digest ctx0 = ContextOf(params);
  const std::vector<Bytes> adverts = DecodeRoster(sum.server().MessagesFor(SiteNumber(number)).front())->adverts;
  const VerifiedRoster roster =
      VerifiedRoster::Create(params, ctx0, {SharedConsortium().ca(), kTestNow}, adverts).value();
  const crypto::SecretBytes job_secret =
      crypto::SecretBytes::CopyOf(crypto::Sha256("job secret " + std::to_string(number)).view());
  SiteSecrets secrets = DeriveSecrets(ctx0, SiteNumber(number), job_secret);
  lie(secrets);
  return Encode(
      DealSecrets(secrets, SharedConsortium().site(number), roster, *roster.IndexOf(SiteNumber(number)))->message);
}

TEST(WrongShareTest, AnOwnerThatDealtAnotherSelfMaskIsNamed) {
  TestSum sum(4);
  AnswerAll(sum, {1, 2, 3, 4});
  sum.Answer({1, 2, 4});
  const Bytes dealt = DealtBy(sum, 3, [](SiteSecrets& s) { s.self_mask = crypto::RandomSecret(32); });
  ASSERT_TRUE(sum.server().Handle(SiteNumber(3), dealt).ok()) << "nobody can see it yet";
  ASSERT_TRUE(sum.server().Close().ok());
  // Site 3 goes on with forged bookkeeping of its own: its commit is enough for the others.
  sum.Answer({1, 2, 4});
  MaskedCommit commit = DecodeMaskedCommit(sum.ReplyOf(1)).value();
  commit.site = SiteNumber(3);
  commit.signature = SharedConsortium().site(3).Sign(DomainOf(MessageType::kMaskedCommit), SignedPart(commit));
  ASSERT_TRUE(sum.server().Handle(SiteNumber(3), Encode(commit)).ok());
  ASSERT_TRUE(sum.server().Close().ok());
  AnswerAll(sum, {1, 2, 4});
  sum.Answer({1, 2, 4});
  for (int again = 0; again < 2; ++again) {
    const absl::Status closed = sum.server().Close();
    EXPECT_EQ(closed.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(closed.message()), HasSubstr("site-03"));
    ASSERT_EQ(sum.server().blames().size(), 1u);
    EXPECT_EQ(sum.server().blames()[0].site, SiteNumber(3));
  }
}

TEST(WrongShareTest, AnOwnerThatDealtAnotherMaskKeyAndVanishedIsNamed) {
  TestSum sum(4);
  AnswerAll(sum, {1, 2, 3, 4});
  sum.Answer({1, 2, 4});
  const Bytes dealt = DealtBy(
      sum, 3, [](SiteSecrets& s) { s.mask = crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32)).value(); });
  ASSERT_TRUE(sum.server().Handle(SiteNumber(3), dealt).ok());
  ASSERT_TRUE(sum.server().Close().ok());
  AnswerAll(sum, {1, 2, 4});
  AnswerAll(sum, {1, 2, 4});
  sum.Answer({1, 2, 4});
  EXPECT_EQ(sum.server().Close().code(), absl::StatusCode::kDataLoss);
  ASSERT_EQ(sum.server().blames().size(), 1u);
  EXPECT_EQ(sum.server().blames()[0].site, SiteNumber(3));
}

// One bad envelope does not cost the round: its reader cannot check the sum and leaves with the name of the owner.
TEST(WrongShareTest, ABadEnvelopeCostsOnlyItsReader) {
  const std::vector<std::function<void(SealedShare&)>> lies = {
      [](SealedShare& share) { share.sealed[7] ^= 1; },
      [](SealedShare& share) { share.self_mask_hash = crypto::Sha256("another share"); },
      [](SealedShare& share) { share.key_hash = crypto::Sha256("another share"); },
  };
  for (const auto& lie : lies) {
    TestSum sum(7);
    AnswerAll(sum, {1, 2, 3, 4, 5, 6, 7});
    sum.Answer({1, 2, 4, 5, 6, 7});
    const Bytes shares = ResignedShares(DecodeShares(sum.ReplyOf(3)).value(), 3,
                                        [&](Shares& changed, ShareRoot&) { lie(changed.entries[0]); });  // for site 1
    ASSERT_TRUE(sum.server().Handle(SiteNumber(3), shares).ok());
    ASSERT_TRUE(sum.server().Close().ok());
    sum.site(1).MustDeliver(sum.server().MessagesFor(SiteNumber(1))[0]);
    const auto refused = sum.site(1).Deliver(sum.server().MessagesFor(SiteNumber(1))[1]);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("site-03"));
    EXPECT_EQ(CulpritOf(refused.status()), SiteNumber(3));
    for (int phase = 0; phase < 3; ++phase) {
      AnswerAll(sum, {2, 4, 5, 6, 7});  // site 3 sees that its own root was replaced and leaves
    }
    EXPECT_EQ(sum.Result(), sum.Oracle()) << "five good shares of each of the two are left, and five are the threshold";
  }
}

// It dealt everybody the same part, but not the one it signed: all readers name it before they mask anything.
TEST(WrongShareTest, AnOwnerThatDealsAnotherCheckPartThanItSignedIsNamedByAll) {
  TestSum sum(4);
  AnswerAll(sum, {1, 2, 3, 4});
  sum.Answer({1, 2, 4});
  const Bytes shares = ResignedShares(DecodeShares(sum.ReplyOf(3)).value(), 3, [](Shares&, ShareRoot& root) {
    root.check_part = crypto::Sha256("another part");
  });
  ASSERT_TRUE(sum.server().Handle(SiteNumber(3), shares).ok());
  ASSERT_TRUE(sum.server().Close().ok());
  for (const int reader : {1, 2, 4}) {
    const auto refused = sum.site(reader).Deliver(sum.server().MessagesFor(SiteNumber(reader)).back());
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("site-03"));
    EXPECT_EQ(CulpritOf(refused.status()), SiteNumber(3));
  }
}

TEST(WrongShareTest, AnEnvelopeThatTheCoordinatorAlteredIsNotItsOwnersDoing) {
  TestSum sum(4);
  AnswerAll(sum, {1, 2, 3, 4});
  AnswerAll(sum, {1, 2, 3, 4});
  ShareDelivery delivery = DecodeShareDelivery(sum.server().MessagesFor(SiteNumber(1)).back()).value();
  delivery.inbox[1].share.sealed[7] ^= 1;
  const auto refused = sum.site(1).Deliver(Encode(delivery));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(CulpritOf(refused.status()).has_value());
}

TEST(WrongShareTest, SharesThatDoNotFitTheRosterAreRefused) {
  TestSum sum(4);
  AnswerAll(sum, {1, 2, 3, 4});
  const Shares good = DecodeShares(sum.ReplyOf(1)).value();
  const auto answer = [&](const std::function<void(Shares&)>& change) {
    const Bytes shares = ResignedShares(good, 1, [&](Shares& changed, ShareRoot&) { change(changed); });
    return sum.server().Handle(SiteNumber(1), shares).code();
  };
  EXPECT_EQ(answer([](Shares& s) { s.entries.pop_back(); }), kInvalid);
  EXPECT_EQ(answer([](Shares& s) { std::swap(s.entries[1], s.entries[2]); }), kInvalid);
  EXPECT_EQ(answer([](Shares& s) { s.entries[1].sealed.pop_back(); }), kInvalid) << "a short share";
  EXPECT_EQ(answer([](Shares& s) { s.entries[1].sealed.push_back('x'); }), kInvalid) << "a long share";
  EXPECT_EQ(answer([](Shares& s) { s.entries[0].sealed = Bytes(96, 'x'); }), kInvalid) << "a share sent to itself";
  EXPECT_EQ(answer([](Shares&) {}), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace cloister::secagg
