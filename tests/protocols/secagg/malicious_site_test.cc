// SPDX-License-Identifier: Apache-2.0
// A site that breaks the protocol is named and counts as a dropout, and the others finish: one lie at a time. Wrong
// shares, which show only later or to one reader, are in wrong_share_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

using ::testing::HasSubstr;

const std::set<int> kHonest = {1, 2, 4, 5, 6, 7};  // threshold 5
constexpr int kLiar = 3;

// A message of the liar, signed again.
template <typename Message>
Bytes Resigned(Message message, std::string_view domain) {
  message.signature = SharedConsortium().site(kLiar).Sign(domain, SignedPart(message));
  return Encode(message);
}

// What the liar sends instead of `honest`; `other` is what site 1 sends in that phase.
using Lie = std::function<Bytes(const Bytes& honest, const Bytes& other)>;

Lie ToAdvert(const std::function<void(Advert&)>& change) {
  return [change](const Bytes& honest, const Bytes&) {
    Advert advert = DecodeAdvert(honest).value();
    change(advert);
    return SignedAdvert(advert, SharedConsortium().site(kLiar));
  };
}

Lie ToRoot(const std::function<void(ShareRoot&)>& change) {
  return [change](const Bytes& honest, const Bytes&) {
    Shares shares = DecodeShares(honest).value();
    ShareRoot root = DecodeShareRoot(shares.root).value();
    change(root);
    shares.root = Resigned(root, kShareRootDomain);
    return Encode(shares);
  };
}

Lie ToCommit(const std::function<void(MaskedCommit&)>& change) {
  return [change](const Bytes& honest, const Bytes&) {
    MaskedCommit commit = DecodeMaskedCommit(honest).value();
    change(commit);
    return Resigned(commit, DomainOf(MessageType::kMaskedCommit));
  };
}

Lie ToConsistency(const std::function<void(Consistency&)>& change) {
  return [change](const Bytes& honest, const Bytes&) {
    Consistency consistency = DecodeConsistency(honest).value();
    change(consistency);
    return Resigned(consistency, DomainOf(MessageType::kConsistency));
  };
}

Lie ToUnmask(const std::function<void(Unmask&)>& change) {
  return [change](const Bytes& honest, const Bytes&) {
    Unmask unmask = DecodeUnmask(honest).value();
    change(unmask);
    return Resigned(unmask, DomainOf(MessageType::kUnmask));
  };
}

Bytes SayWhatAnotherSays(const Bytes&, const Bytes& other) {
  return other;
}

Bytes BreakTheSignature(Bytes honest, const Bytes&) {
  honest.back() = static_cast<char>(honest.back() ^ 1);
  return honest;
}

TEST(MaliciousSiteTest, IsNamedAndTheOthersFinish) {
  const struct {
    ServerPhase phase;
    Lie lie;
    const char* evidence;
  } kLies[] = {
      {ServerPhase::kAdvertise, ToAdvert([](Advert& a) { a.ctx0 = crypto::Sha256("x"); }),
       "site-03 speaks of another model, plan or attempt"},
      {ServerPhase::kAdvertise, ToAdvert([](Advert& a) { a.mask_key = Bytes(32, '\0'); }),
       "site-03 advertises a key of low order"},
      {ServerPhase::kAdvertise,
       [](const Bytes& honest, const Bytes& other) {
         return ToAdvert([&](Advert& a) { a.mask_key = DecodeAdvert(other)->mask_key; })(honest, other);
       },
       "site-03 advertises a key that site site-01 has already"},
      {ServerPhase::kAdvertise, BreakTheSignature, "advert of site site-03"},
      {ServerPhase::kAdvertise, SayWhatAnotherSays, "site-03 sends a message of site site-01"},
      {ServerPhase::kShare, ToRoot([](ShareRoot& r) { r.ctx1 = crypto::Sha256("x"); }),
       "site-03 speaks of another roster"},
      {ServerPhase::kShare, ToRoot([](ShareRoot& r) { r.root = crypto::Sha256("x"); }),
       "the shares of site site-03 are not what it signed"},
      {ServerPhase::kShare, SayWhatAnotherSays, "site-03 sends a message of site site-01"},
      {ServerPhase::kMaskedInput, ToCommit([](MaskedCommit& c) { c.vectors[0].length -= 1; }),
       "site-03 commits to other vectors than the plan's"},
      {ServerPhase::kMaskedInput, ToCommit([](MaskedCommit& c) { c.vectors.pop_back(); }),
       "site-03 commits to other vectors than the plan's"},
      {ServerPhase::kMaskedInput, ToCommit([](MaskedCommit& c) { c.ctx2 = crypto::Sha256("x"); }),
       "site-03 speaks of another roster or set of sharers"},
      {ServerPhase::kMaskedInput, BreakTheSignature, "site-03"},
      {ServerPhase::kMaskedInput, SayWhatAnotherSays, "site-03 sends a message of site site-01"},
      {ServerPhase::kConsistency, ToConsistency([](Consistency& c) { c.survivors = crypto::Sha256("x"); }),
       "site-03 confirms another list of survivors"},
      {ServerPhase::kConsistency, BreakTheSignature, "site-03"},
      {ServerPhase::kConsistency, SayWhatAnotherSays, "site-03 sends a message of site site-01"},
      {ServerPhase::kUnmask, ToUnmask([](Unmask& u) { u.survivors = crypto::Sha256("x"); }),
       "site-03 unmasks another sum"},
      {ServerPhase::kUnmask, ToUnmask([](Unmask& u) { u.reveals.pop_back(); }),
       "site-03 does not reveal one share of the right kind for every sharer"},
      {ServerPhase::kUnmask, BreakTheSignature, "site-03"},
      {ServerPhase::kUnmask, SayWhatAnotherSays, "site-03 sends a message of site site-01"},
  };
  for (const auto& [phase, lie, evidence] : kLies) {
    SCOPED_TRACE(std::string(NameOf(phase)) + ": " + evidence);
    TestSum sum(7);
    bool lied = false;
    while (sum.server().phase() != ServerPhase::kDone) {
      sum.Answer(kHonest);
      if (sum.server().phase() == phase) {
        const absl::Status refused = sum.server().Handle(SiteNumber(kLiar), lie(sum.ReplyOf(kLiar), sum.ReplyOf(1)));
        EXPECT_FALSE(refused.ok());
        EXPECT_THAT(std::string(refused.message()), HasSubstr(evidence));
        lied = true;
      } else if (!lied) {
        sum.Answer({kLiar});
      }
      ASSERT_TRUE(sum.server().Close().ok());
    }
    EXPECT_EQ(sum.server().survivors().size(), phase > ServerPhase::kMaskedInput ? 7u : 6u);
    EXPECT_EQ(sum.Result(), sum.Oracle());
  }
}

// Tags are masked like any vector, so nobody can tell whose is wrong: every site finds the sum out, and the round is
// lost. As with a wrong vector, contracts have to do what the protocol cannot.
TEST(MaliciousSiteTest, AWrongTagIsFoundOutByEverySiteAndNamesNobody) {
  TestSum sum(7);
  for (int i = 1; i <= 7; ++i) sum.site(i).set_plain(Zeros(sum.params()));
  const std::set<int> all = Attendance::Everybody(7).advertise;
  for (int phase = 0; phase < 2; ++phase) {
    sum.Answer(all);
    ASSERT_TRUE(sum.server().Close().ok());
  }
  sum.Answer(kHonest);
  const Lie lie = ToCommit([](MaskedCommit& c) { c.tag = FieldAdd(c.tag, 1); });
  ASSERT_TRUE(sum.server().Handle(SiteNumber(kLiar), lie(sum.ReplyOf(kLiar), "")).ok());
  ASSERT_TRUE(sum.server().Close().ok());
  for (int phase = 3; phase < 5; ++phase) {
    sum.Answer(kHonest);
    ASSERT_TRUE(sum.server().Close().ok());
  }
  EXPECT_EQ(sum.Result(), sum.Oracle());
  EXPECT_TRUE(sum.server().blames().empty());
  for (const int i : kHonest) {
    const SumCheck& check = *sum.site(i).session().check();
    EXPECT_NE(TagOf(check.seed, sum.params(), sum.Result()), sum.server().published()->tag) << i;
  }
}

}  // namespace
}  // namespace cloister::secagg
