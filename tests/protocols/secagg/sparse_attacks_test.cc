// SPDX-License-Identifier: Apache-2.0
// The attacks of docs/secagg.md that are about the graph, on a sparse one: a graph of the coordinator's choice (l), a
// roster without the victim's neighbours (p), lowered thresholds (k).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/crypto/aead.h"
#include "protocols/crypto/hkdf.h"
#include "tests/protocols/secagg/attack_harness.h"

namespace cloister::secagg {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kParticipants = 66;
constexpr int kPlannedConspirators = 7;

SumParams AttackedSparseParams() {
  return SparseParams(kParticipants, kPlannedConspirators, kElements);
}

// One sum of 66 sites, run once; each test attacks a victim that hears what the sum's site 1 heard, up to a point.
class SparseAttackTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sum_ = new TestSum(kParticipants, AttackedSparseParams());
    for (int i = 1; i <= kParticipants; ++i) sum_->site(i).set_plain(SmallNumbers(i));
    sum_->Run(Attendance::Everybody(kParticipants));
    heard_ = new std::vector<Bytes>(sum_->server().MessagesFor(SiteNumber(1)));
  }
  static void TearDownTestSuite() {
    delete heard_;
    delete sum_;
  }

  static const std::vector<Bytes>& heard() { return *heard_; }
  // After the first `messages` of the coordinator.
  static TestSite VictimAfter(size_t messages, const SumParams& params = AttackedSparseParams()) {
    TestSite victim = NewSite(1, params);
    victim.Advertise();
    for (size_t m = 0; m < messages; ++m) victim.MustDeliver(heard()[m]);
    return victim;
  }
  static std::vector<Bytes> AllAdverts() { return DecodeRoster(heard()[0])->adverts; }
  static VerifiedRoster WholeRoster() {
    return VerifiedRoster::Create(AttackedSparseParams(), ContextOf(AttackedSparseParams()),
                                  {SharedConsortium().ca(), kTestNow}, AllAdverts())
        .value();
  }
  // Members that hold no share of site 1, or do.
  static std::set<size_t> Members(bool neighbours) {
    const VerifiedRoster roster = WholeRoster();
    std::set<size_t> members;
    for (size_t i = 0; i < roster.size(); ++i) members.insert(i);
    std::set<size_t> holders;
    for (const auto& [member, x] : roster.neighbourhoods().HoldersOf(0)) holders.insert(member);
    if (neighbours) return holders;
    for (const size_t member : holders) members.erase(member);
    return members;
  }

  static TestSum* sum_;
  static std::vector<Bytes>* heard_;
};

TestSum* SparseAttackTest::sum_ = nullptr;
std::vector<Bytes>* SparseAttackTest::heard_ = nullptr;

TEST_F(SparseAttackTest, AnHonestSumIsAllThatConspiratorsFind) {
  Extractor extractor;
  for (int i = 1; i <= kParticipants; ++i) {
    i > kParticipants - kPlannedConspirators ? extractor.Corrupt(sum_->site(i)) : extractor.Hear(sum_->site(i));
  }
  ExpectSafe(extractor, sum_->site(1), kParticipants - kPlannedConspirators);
}

// A sum is everybody's of one graph: sites that are told another seed sign for another ctx1.
TEST_F(SparseAttackTest, L_AnotherSeed) {
  SumParams params = AttackedSparseParams();
  params.graph->seed = crypto::Sha256("a seed of the coordinator's choice");
  TestSite fifth = NewSite(5, params);
  fifth.Advertise();
  const Bytes of_other_graph = fifth.MustDeliver(heard()[0]);
  ServerSession honest = MakeServer(AttackedSparseParams(), kParticipants);
  for (const Bytes& advert : AllAdverts()) {
    ASSERT_TRUE(honest.Handle(DecodeAdvert(advert)->site, advert).ok());
  }
  ASSERT_TRUE(honest.Close().ok());
  EXPECT_EQ(honest.Handle(SiteNumber(5), of_other_graph).code(), absl::StatusCode::kAborted);

  TestSite victim = VictimAfter(1);
  ShareDelivery delivery = DecodeShareDelivery(heard()[1]).value();
  delivery.roots[4] = DecodeShares(of_other_graph)->root;
  ExpectRefused(victim, Encode(delivery), HasSubstr("site-05 speaks of another roster"));
  ExpectNothingSent(victim);
}

// Shares of others than its neighbours, or none of a neighbour.
TEST_F(SparseAttackTest, L_AnotherNeighbour) {
  const ShareDelivery good = DecodeShareDelivery(heard()[1]).value();
  const auto refuse = [&](const std::function<void(ShareDelivery&)>& change, const std::string& evidence) {
    TestSite victim = VictimAfter(1);
    ShareDelivery delivery = good;
    change(delivery);
    ExpectRefused(victim, Encode(delivery), HasSubstr(evidence));
    ExpectNothingSent(victim);
  };
  refuse([](ShareDelivery& d) { d.inbox.erase(d.inbox.begin() + 1); },
         "the share of site " + good.inbox[1].owner.value() + " is missing");
  refuse([](ShareDelivery& d) { d.inbox.push_back(d.inbox.back()); }, "more shares than sharers");
  refuse([](ShareDelivery& d) { d.inbox[0].owner = SiteNumber(kParticipants + 1); }, "is missing");
  refuse([](ShareDelivery& d) { d.check_envelopes.resize(d.check_envelopes.size() - kCheckEnvelopeBytes); },
         "the part of the check seed of site");
  refuse([](ShareDelivery& d) { d.check_envelopes += Bytes(kCheckEnvelopeBytes, 'x'); }, "more shares than sharers");
  refuse([](ShareDelivery& d) { d.check_envelopes[7] ^= 1; }, "the part of the check seed of site");
  refuse([](ShareDelivery& d) { std::swap(d.inbox[0], d.inbox[1]); }, "is missing");
}

// A dealer that conspires cannot choose its holders either.
TEST_F(SparseAttackTest, L_ADealerWithAnotherNeighbourhood) {
  ServerSession server = MakeServer(AttackedSparseParams(), kParticipants);
  for (const Bytes& advert : AllAdverts()) {
    ASSERT_TRUE(server.Handle(DecodeAdvert(advert)->site, advert).ok());
  }
  ASSERT_TRUE(server.Close().ok());
  const SiteId stranger = WholeRoster()[*Members(false).begin()].site;
  const Shares shares = DecodeShares(VictimAfter(1).conversations().back().said.back()).value();
  const Bytes other = ResignedShares(shares, 1, [&](Shares& s, ShareRoot&) { s.entries[2].recipient = stranger; });
  EXPECT_EQ(server.Handle(SiteNumber(1), other).code(), absl::StatusCode::kInvalidArgument);
  const Bytes fewer = ResignedShares(shares, 1, [&](Shares& s, ShareRoot&) { s.check_envelopes.clear(); });
  EXPECT_EQ(server.Handle(SiteNumber(1), fewer).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(server.Handle(SiteNumber(1), Encode(shares)).ok());
}

// A dealer that gives one site another part of the check seed than it signed is named there.
TEST_F(SparseAttackTest, ADealerThatGivesAStrangerAnotherCheckPart) {
  const VerifiedRoster roster = WholeRoster();
  const size_t dealer = *Members(false).begin();
  const SiteId& from = roster[dealer].site;
  const SiteId& to = roster[0].site;
  const SiteSecrets secrets =
      DeriveSecrets(ContextOf(AttackedSparseParams()), from, sum_->SiteOf(from).Inputs().job_secret);
  const crypto::SecretBytes shared = secrets.channel.Derive(roster[0].channel_key).value();
  const Bytes info = CanonicalWriter().Blob("CSA1/chan").Blob(from.value()).Blob(to.value()).Take();
  const crypto::SecretBytes key = crypto::Hkdf(roster.ctx1().view(), shared, info, crypto::kAeadKeyBytes);
  const Bytes context = CanonicalWriter().Put(roster.ctx1()).Blob(from.value()).Blob(to.value()).Take();
  const Bytes envelope =
      crypto::Seal(key, Bytes(crypto::kAeadNonceBytes, '\0'), context, crypto::RandomSecret(32).view()).value();
  ShareDelivery delivery = DecodeShareDelivery(heard()[1]).value();
  // The first stranger: nobody's envelope comes before.
  delivery.check_envelopes.replace(0, kCheckEnvelopeBytes, envelope);
  TestSite victim = VictimAfter(1);
  ExpectRefused(victim, Encode(delivery),
                HasSubstr("site " + from.value() + " sealed another part of the check seed than it signed"));
  ExpectNothingSent(victim);
}

TEST_F(SparseAttackTest, P_ARosterWithoutTheVictimsNeighbours) {
  std::vector<Bytes> adverts;
  std::set<size_t> members = Members(false);
  members.insert(0);
  for (const size_t member : members) adverts.push_back(AllAdverts()[member]);
  TestSite victim = VictimAfter(0);
  ExpectRefused(victim, Encode(Roster{adverts}),
                AllOf(HasSubstr("1 of the neighbourhood of site site-01"), HasSubstr("wanted")));
  ExpectNothingSent(victim);
  // The honest coordinator does not close such a roster either.
  ServerSession server = MakeServer(AttackedSparseParams(), kParticipants);
  for (const Bytes& advert : adverts) ASSERT_TRUE(server.Handle(DecodeAdvert(advert)->site, advert).ok());
  EXPECT_EQ(server.CanClose().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(server.Close().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(server.phase(), ServerPhase::kAdvertise);
}

// More than two thirds are there, as the whole cohort wants it, but of the victim's neighbourhood one less than the
// threshold: at the roster, among the sharers, among the survivors.
TEST_F(SparseAttackTest, K_AndP_TooFewOfTheNeighbourhoodAtAnyStep) {
  const VerifiedRoster roster = WholeRoster();
  std::set<size_t> left_out = Members(true);
  left_out.erase(0);
  while (left_out.size() + static_cast<size_t>(roster.neighbourhoods().threshold()) > Members(true).size() + 1) {
    left_out.erase(left_out.begin());
  }
  ASSERT_GE(kParticipants - static_cast<int>(left_out.size()), Threshold(kParticipants));

  TestSite at_roster = VictimAfter(0);
  Roster message;
  for (size_t i = 0; i < roster.size(); ++i) {
    if (left_out.count(i) == 0) message.adverts.push_back(AllAdverts()[i]);
  }
  ExpectRefused(at_roster, Encode(message), HasSubstr("of the neighbourhood of site"));

  TestSite at_delivery = VictimAfter(1);
  const ShareDelivery whole = DecodeShareDelivery(heard()[1]).value();
  ShareDelivery delivery{whole.ctx1, {}, {}, {}};
  std::set<SiteId> gone;
  for (size_t i = 0; i < roster.size(); ++i) {
    if (left_out.count(i) == 0) delivery.roots.push_back(whole.roots[i]);
    if (left_out.count(i) > 0) gone.insert(roster[i].site);
  }
  for (const InboxEntry& entry : whole.inbox) {
    if (gone.count(entry.owner) == 0) delivery.inbox.push_back(entry);
  }
  delivery.check_envelopes = whole.check_envelopes;
  ExpectRefused(at_delivery, Encode(delivery), HasSubstr("of the neighbourhood of site"));
  ExpectNothingSent(at_delivery);

  TestSite at_survivors = VictimAfter(2);
  SurvivorList list = DecodeSurvivorList(heard()[2]).value();
  std::vector<Bytes> commits;
  for (size_t i = 0; i < roster.size(); ++i) {
    if (left_out.count(i) == 0) commits.push_back(list.commits[i]);
  }
  list.commits = commits;
  ExpectRefused(at_survivors, Encode(list), HasSubstr("of the neighbourhood of site"));
}

// The whole cohort's threshold holds too: two lists of survivors cannot both be confirmed.
TEST_F(SparseAttackTest, K_TheCohortsThresholdStays) {
  TestSite at_delivery = VictimAfter(1);
  const size_t quorum = static_cast<size_t>(Threshold(kParticipants));
  ShareDelivery delivery = DecodeShareDelivery(heard()[1]).value();
  delivery.roots.resize(quorum - 1);
  ExpectRefused(at_delivery, Encode(delivery), HasSubstr("44 sites shared their secrets, wanted 45"));
  TestSite at_signatures = VictimAfter(3);
  SignatureSet set = DecodeSignatureSet(heard()[3]).value();
  set.consistencies.resize(quorum - 1);
  ExpectRefused(at_signatures, Encode(set), HasSubstr("44 sites confirmed the survivors, wanted 45"));
}

TEST_F(SparseAttackTest, ASiteThatIsKilledAtEveryStepSaysTheSameBytes) {
  TestSite site = VictimAfter(heard().size());
  const std::vector<Bytes> said = site.conversations().front().said;
  for (size_t known = 0; known <= heard().size(); ++known) {
    site.Start();
    EXPECT_EQ(site.Advertise(), said[0]);
    for (size_t m = 0; m < known; ++m) EXPECT_EQ(site.MustDeliver(heard()[m]), said[m + 1]) << m;
  }
  // And contradicts itself for nobody: not for a graph that came later.
  site.params().graph->seed = crypto::Sha256("another seed");
  site.Start();
  site.Advertise();
  ExpectRefused(site, heard()[0], HasSubstr("contradicts what this site stored before"));
}

// Full where the others are sparse: the victim would share with 128 at most, and under another ctx1.
TEST_F(SparseAttackTest, L_TheFullGraphForOneSite) {
  SumParams params = AttackedSparseParams();
  params.graph.reset();
  TestSite victim = NewSite(1, params);
  victim.Advertise();
  victim.MustDeliver(heard()[0]);
  ExpectRefused(victim, heard()[1], HasSubstr("the coordinator speaks of another roster"));
  ExpectNothingSent(victim);
}

}  // namespace
}  // namespace cloister::secagg
