// SPDX-License-Identifier: Apache-2.0
// The sum is exact: every cohort size, every dropout pattern, against an integer oracle.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

TEST(ThresholdTest, IsTheTableOfTheDesign) {
  const std::map<int, int> table = {{3, 3}, {4, 3}, {5, 4}, {6, 5}, {7, 5}, {10, 7}, {16, 11}, {32, 22}, {100, 67}};
  for (const auto& [n, t] : table) EXPECT_EQ(Threshold(n), t) << n;
}

TEST(SessionTest, IsExactForEveryCohortFromThreeToTwelve) {
  for (int n = 3; n <= 12; ++n) {
    TestSum sum(n);
    sum.Run(Attendance::Everybody(n));
    if (HasFatalFailure()) return;
    EXPECT_EQ(sum.Result(), sum.Oracle()) << n;
    EXPECT_EQ(sum.server().survivors().size(), static_cast<size_t>(n));
    EXPECT_TRUE(sum.server().blames().empty());
  }
}

TEST(SessionTest, IsExactForLargerCohortsWithRandomDropouts) {
  std::mt19937_64 random(5);
  for (const int n : {16, 24, 40}) {
    TestSum sum(n);
    Attendance who = Attendance::Everybody(n);
    const auto drop = [&](std::set<int> from, int count) {
      for (; count > 0; --count) from.erase(std::next(from.begin(), static_cast<long>(random() % from.size())));
      return from;
    };
    who.advertise = drop(who.advertise, n / 10);
    who.share = drop(who.advertise, n / 10);
    who.masked_input = drop(who.share, n / 10);
    who.consistency = drop(who.masked_input, 1);
    who.unmask = drop(who.masked_input, 1);
    sum.Run(who);
    if (HasFatalFailure()) return;
    EXPECT_EQ(sum.Result(), sum.Oracle()) << n;
    EXPECT_EQ(sum.server().survivors().size(), who.masked_input.size());
  }
}

// What sites answer depends only on what they heard, so answers are kept across the patterns below.
class Answers {
 public:
  explicit Answers(int n) {
    for (int i = 1; i <= n; ++i) {
      TestSite site(i, TestParams());
      adverts_[i] = site.Advertise();
    }
  }

  const Bytes& Advert(int i) const { return adverts_.at(i); }
  // The reply of site i to the last of `heard`, by a site that was restarted and heard everything again. What a site
  // unmasks does not depend on who confirmed the survivors: that is checked for one site and taken for the others.
  const Bytes& Reply(int i, const std::vector<Bytes>& heard, SiteVectors* masked = nullptr) {
    constexpr size_t kBeforeConfirmation = 3;
    constexpr int kChecked = 1;
    const bool same_for_all = heard.size() > kBeforeConfirmation && i != kChecked;
    const auto key =
        std::pair(i, same_for_all ? Key({Key(heard, kBeforeConfirmation).hex()}, 1) : Key(heard, heard.size()));
    if (replies_.count(key) == 0) {
      // A site that is just there goes on; otherwise one is restarted and hears everything again.
      const auto waiting = waiting_.find({i, Key(heard, heard.size() - 1)});
      TestSite site = waiting != waiting_.end() ? std::move(waiting->second) : TestSite(i, TestParams());
      Bytes reply;
      if (waiting != waiting_.end()) {
        waiting_.erase(waiting);
        reply = site.MustDeliver(heard.back());
      } else {
        site.Advertise();
        for (const Bytes& message : heard) reply = site.MustDeliver(message);
      }
      replies_[key] = {reply, site.masked()};
      waiting_.emplace(std::pair(i, Key(heard, heard.size())), std::move(site));
    }
    if (masked != nullptr) *masked = replies_.at(key).masked;
    return replies_.at(key).reply;
  }
  const SiteVectors& PlainOf(int i) {
    if (plain_.count(i) == 0) plain_[i] = RandomVectors(TestParams(), static_cast<uint64_t>(i));
    return plain_.at(i);
  }

 private:
  struct Kept {
    Bytes reply;
    SiteVectors masked;
  };
  static Digest Key(const std::vector<Bytes>& heard, size_t count) {
    crypto::Sha256Stream digest;
    for (size_t m = 0; m < count; ++m) digest.Update(heard[m]);
    return digest.Finish();
  }
  std::map<int, Bytes> adverts_;
  std::map<std::pair<int, Digest>, Kept> replies_;
  std::map<std::pair<int, Digest>, TestSite> waiting_;  // by what they heard
  std::map<int, SiteVectors> plain_;
};

using Subsets = std::vector<std::set<int>>;

Subsets SubsetsOfAtLeast(const std::set<int>& all, size_t size) {
  const std::vector<int> members(all.begin(), all.end());
  Subsets subsets;
  for (uint32_t bits = 0; bits < (1u << members.size()); ++bits) {
    std::set<int> subset;
    for (size_t i = 0; i < members.size(); ++i) {
      if ((bits >> i & 1) != 0) subset.insert(members[i]);
    }
    if (subset.size() >= size) subsets.push_back(std::move(subset));
  }
  return subsets;
}

// Runs whole patterns and remembers which sets, just below the quorum of a phase, were refused on the way.
class PatternRunner {
 public:
  explicit PatternRunner(int n) : n_(n), answers_(n) {}

  int sums = 0;
  size_t refused() const { return refused_.size(); }
  bool WasRefused(const Subsets& pattern) const { return refused_.count(pattern) > 0; }

  // Sites answer one by one, first a set that was not yet seen to be too small: Close must be refused then.
  void Run(const Subsets& pattern) {
    ServerSession server = MakeServer(TestParams(), n_);
    SiteVectors sum = Zeros(TestParams());
    SiteVectors oracle = Zeros(TestParams());
    Subsets done;
    for (const std::set<int>& who : pattern) {
      const size_t quorum = QuorumOf(server, pattern[0].size());
      std::set<int> answered;
      for (const int i : OrderOf(done, who, quorum)) {
        SiteVectors masked;
        const bool first = server.phase() == ServerPhase::kAdvertise;
        const Bytes& reply = first ? answers_.Advert(i) : answers_.Reply(i, server.MessagesFor(SiteNumber(i)), &masked);
        const absl::Status taken = server.Handle(SiteNumber(i), reply);
        ASSERT_TRUE(taken.ok()) << taken;
        answered.insert(i);
        if (server.phase() == ServerPhase::kMaskedInput) {
          sum += masked;
          oracle += answers_.PlainOf(i);
        }
        ASSERT_EQ(server.CanClose().ok(), answered.size() >= quorum);
        if (answered.size() + 1 == quorum) {
          ASSERT_EQ(server.Close().code(), kFailedPrecondition);
          refused_.insert(Then(done, answered));
        }
      }
      if (answered.size() < quorum) return;
      ASSERT_TRUE(server.Close().ok());
      done.push_back(who);
    }
    ASSERT_EQ(server.phase(), ServerPhase::kDone);
    const Unmasker& unmasker = *server.unmasker().value();
    ASSERT_TRUE(unmasker.Apply(0, 0, absl::Span<uint32_t>(sum.update)).ok());
    ASSERT_TRUE(unmasker.Apply(1, 0, absl::Span<uint64_t>(sum.counters)).ok());
    ASSERT_EQ(sum, oracle);
    ++sums;
  }

  static Subsets Then(Subsets pattern, const std::set<int>& next) {
    pattern.push_back(next);
    return pattern;
  }

 private:
  static size_t QuorumOf(const ServerSession& server, size_t roster_size) {
    const size_t t = static_cast<size_t>(Threshold(static_cast<int>(roster_size)));
    if (server.phase() == ServerPhase::kAdvertise) return kCohortFloor;
    return server.phase() < ServerPhase::kConsistency ? std::max<size_t>(t, kCohortFloor) : t;
  }
  std::vector<int> OrderOf(const Subsets& done, const std::set<int>& who, size_t quorum) const {
    for (const std::set<int>& small : SubsetsOfAtLeast(who, quorum - 1)) {
      if (small.size() >= quorum || WasRefused(Then(done, small))) continue;
      std::vector<int> order(small.begin(), small.end());
      std::set_difference(who.begin(), who.end(), small.begin(), small.end(), std::back_inserter(order));
      return order;
    }
    return {who.begin(), who.end()};
  }

  int n_;
  Answers answers_;
  std::set<Subsets> refused_;
};

// Every way sites can vanish: every roster, every U2 and U3 of it, every set that confirms and every set that unmasks.
// Below the quorum the largest sets are tried; smaller ones are refused on the way to them.
void ForEveryPattern(PatternRunner& runner, const Subsets& done, const std::set<int>& candidates) {
  const size_t phase = done.size();
  const size_t roster_size = phase == 0 ? 0 : done[0].size();
  const size_t t = static_cast<size_t>(Threshold(static_cast<int>(roster_size)));
  const size_t quorum = phase == 0 || t < kCohortFloor ? kCohortFloor : t;
  for (const std::set<int>& who : SubsetsOfAtLeast(candidates, quorum)) {
    const Subsets pattern = PatternRunner::Then(done, who);
    if (phase == 4) {
      runner.Run(pattern);
    } else {
      // Whoever survived may unmask, also a site that did not get its confirmation through.
      ForEveryPattern(runner, pattern, phase == 3 ? candidates : who);
    }
    if (::testing::Test::HasFailure()) return;
  }
  for (const std::set<int>& who : SubsetsOfAtLeast(candidates, quorum - 1)) {
    const Subsets pattern = PatternRunner::Then(done, who);
    if (who.size() < quorum && !runner.WasRefused(pattern)) runner.Run(pattern);
  }
}

TEST(SessionTest, EveryDropoutPatternOfUpToSixSites) {
  for (int n = 3; n <= 6; ++n) {
    PatternRunner runner(n);
    ForEveryPattern(runner, {}, Attendance::Everybody(n).advertise);
    ASSERT_FALSE(HasFailure()) << n;
    RecordProperty("sums_of_" + std::to_string(n), runner.sums);
    RecordProperty("refused_of_" + std::to_string(n), static_cast<int>(runner.refused()));
    EXPECT_GT(runner.sums, 0);
  }
}

TEST(SessionTest, ThreeSitesTolerateNoDropout) {
  TestSum sum(3);
  sum.Answer({1, 2, 3});
  ASSERT_TRUE(sum.server().Close().ok());
  sum.Answer({1, 2});
  EXPECT_EQ(sum.server().Close().code(), kFailedPrecondition);
  EXPECT_EQ(sum.server().Awaited(), std::vector<SiteId>{SiteNumber(3)});
  sum.Answer({3});
  EXPECT_TRUE(sum.server().Awaited().empty());
  EXPECT_TRUE(sum.server().Close().ok());
}

TEST(SessionTest, TheCohortFloorHoldsWhateverThePlanSays) {
  SumParams params = TestParams(2);
  EXPECT_EQ(CheckParams(params).code(), kFailedPrecondition);
  EXPECT_EQ(ServerSession::Create({params, SharedConsortium().ca(), SitesUpTo(5), kTestNow}).status().code(),
            kFailedPrecondition);
  TestSite site(1, TestParams());
  ClientInputs inputs = site.Inputs();
  inputs.params.n_min = 1;
  EXPECT_EQ(ClientSession::Create(std::move(inputs)).status().code(), kFailedPrecondition);
  EXPECT_EQ(ServerSession::Create({TestParams(), SharedConsortium().ca(), SitesUpTo(2), kTestNow}).status().code(),
            kFailedPrecondition);
  params = TestParams();
  params.colluders = 2;  // three sites and threshold 3 do protect against two; four with threshold 3 do not
  EXPECT_TRUE(CheckCohort(params, 3).ok());
  EXPECT_EQ(CheckCohort(params, 4).code(), kFailedPrecondition);
}

TEST(SessionTest, TheDefaultMinimumIsFive) {
  SumParams params = TestParams();
  params.n_min = SumParams().n_min;
  TestSum sum(6, params);
  sum.Answer({1, 2, 3, 4});
  EXPECT_EQ(sum.server().Close().code(), kFailedPrecondition);
  sum.Answer({5});
  EXPECT_TRUE(sum.server().Close().ok());
}

// Of seven sites five are the threshold, but this plan wants six: to share, and to survive.
TEST(SessionTest, TheMinimumHoldsInEveryPhase) {
  TestSum sum(7, TestParams(6));
  for (int phase = 0; phase < 2; ++phase) {
    sum.Answer({1, 2, 3, 4, 5});
    EXPECT_EQ(sum.server().Close().code(), kFailedPrecondition);
    sum.Answer({6, 7});
    ASSERT_TRUE(sum.server().Close().ok());
  }
  ShareDelivery delivery = DecodeShareDelivery(sum.server().MessagesFor(SiteNumber(2)).back()).value();
  delivery.roots.resize(5);
  delivery.inbox.resize(4);
  EXPECT_EQ(sum.site(2).Deliver(Encode(delivery)).status().code(), kFailedPrecondition);

  sum.Answer({1, 3, 4, 5, 6});
  EXPECT_EQ(sum.server().Close().code(), kFailedPrecondition);
  sum.Answer({7});
  ASSERT_TRUE(sum.server().Close().ok());
  SurvivorList list = DecodeSurvivorList(sum.server().MessagesFor(SiteNumber(1)).back()).value();
  list.commits.resize(5);
  EXPECT_EQ(sum.site(1).Deliver(Encode(list)).status().code(), kFailedPrecondition);
}

TEST(SessionTest, IsExactInNarrowRingsToo) {
  for (const int bits : {16, 24, 32}) {
    SumParams params = TestParams(3, 10'007);
    params.vectors[0].ring_bits = bits;
    TestSum sum(5, params);
    Attendance attendance = Attendance::Everybody(5);
    attendance.masked_input = attendance.consistency = attendance.unmask = {1, 2, 3, 5};
    sum.Run(attendance);
    EXPECT_EQ(sum.Result(), sum.Oracle()) << bits;
    for (const uint32_t value : sum.site(1).masked().update) ASSERT_LE(value, RingMask(bits));
  }
}

TEST(SessionTest, ParametersAreChecked) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const auto code = [](const std::function<void(SumParams&)>& change) {
    SumParams params = TestParams();
    change(params);
    return CheckParams(params).code();
  };
  EXPECT_EQ(code([](SumParams&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(code([](SumParams& p) { p.kind = "no good"; }), kInvalid);
  EXPECT_EQ(code([](SumParams& p) { p.job = JobId(); }), kInvalid);
  EXPECT_EQ(code([](SumParams& p) { p.vectors.clear(); }), kInvalid);
  EXPECT_EQ(code([](SumParams& p) { p.vectors[1].name = "update"; }), kInvalid);
  EXPECT_EQ(code([](SumParams& p) { p.vectors[0].length = 0; }), kInvalid);
  EXPECT_EQ(code([](SumParams& p) { p.vectors[0].length = (uint64_t{1} << 34) + 1; }), kInvalid);
  EXPECT_EQ(code([](SumParams& p) { p.vectors[0].length = uint64_t{1} << 34; }), absl::StatusCode::kOk);
  for (const int bits : {-32, 0, 8, 31, 40, 48, 56, 128}) {
    EXPECT_EQ(code([&](SumParams& p) { p.vectors[0].ring_bits = bits; }), kInvalid) << bits;
  }
  for (const int bits : {16, 24, 32, 64}) {
    EXPECT_EQ(code([&](SumParams& p) { p.vectors[0].ring_bits = bits; }), absl::StatusCode::kOk) << bits;
  }
  EXPECT_EQ(code([](SumParams& p) { p.n_min = 129; }), kInvalid);
  EXPECT_EQ(code([](SumParams& p) { p.colluders = -1; }), kInvalid);
  EXPECT_EQ(code([](SumParams& p) { p.participants = {SiteNumber(1), SiteNumber(1)}; }), kInvalid);
}

TEST(SessionTest, EveryParameterIsInTheContext) {
  const Digest context = ContextOf(TestParams());
  const std::vector<std::function<void(SumParams&)>> changes = {
      [](SumParams& p) { p.plan = crypto::Sha256("other"); },
      [](SumParams& p) { p.job = JobId::Parse("job-2").value(); },
      [](SumParams& p) { p.round = 8; },
      [](SumParams& p) { p.attempt = 1; },
      [](SumParams& p) { p.kind = "validation"; },
      [](SumParams& p) { p.model_root = crypto::Sha256("other"); },
      [](SumParams& p) { p.n_min = 4; },
      [](SumParams& p) { p.colluders = 1; },
      [](SumParams& p) { p.participants = SitesUpTo(3); },
      [](SumParams& p) { p.vectors[0].length = 38; },
      [](SumParams& p) { p.vectors[1].ring_bits = 32; },
      [](SumParams& p) { p.vectors[0].name = "updates"; },
      [](SumParams& p) { std::swap(p.vectors[0], p.vectors[1]); },
  };
  std::set<Digest> seen = {context};
  for (const auto& change : changes) {
    SumParams params = TestParams();
    change(params);
    EXPECT_TRUE(seen.insert(ContextOf(params)).second);
  }
}

TEST(SessionTest, MaskingIsOncePerElementAndWhole) {
  TestSum sum(3);
  sum.Answer({1, 2, 3});
  ASSERT_TRUE(sum.server().Close().ok());
  sum.Answer({1, 2, 3});
  ASSERT_TRUE(sum.server().Close().ok());
  ClientSession& session = sum.site(1).session();
  std::vector<uint32_t> update(37, 0);
  std::vector<uint64_t> counters(3, 0);
  EXPECT_EQ(session.Mask(0, 0, absl::Span<uint32_t>(update)).code(), kFailedPrecondition) << "not delivered yet";
  ASSERT_TRUE(session.Handle(sum.server().MessagesFor(SiteNumber(1)).back()).ok());
  ASSERT_EQ(session.phase(), ClientPhase::kMasking);
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(session.Mask(0, 1, absl::Span<uint32_t>(update)).code(), kInvalid);
  EXPECT_EQ(session.Mask(1, 0, absl::Span<uint32_t>(update)).code(), kInvalid);
  EXPECT_EQ(session.Mask(2, 0, absl::Span<uint64_t>(counters)).code(), kInvalid);
  ASSERT_TRUE(session.Mask(0, 10, absl::Span<uint32_t>(update).subspan(10, 5)).ok());
  EXPECT_EQ(session.Mask(0, 10, absl::Span<uint32_t>(update).subspan(10, 1)).code(), kInvalid);
  EXPECT_EQ(session.Mask(0, 5, absl::Span<uint32_t>(update).subspan(5, 6)).code(), kInvalid);
  EXPECT_EQ(session.Mask(0, 14, absl::Span<uint32_t>(update).subspan(14, 3)).code(), kInvalid);
  EXPECT_EQ(session.Mask(0, 0, absl::Span<uint32_t>(update)).code(), kInvalid);
  ASSERT_TRUE(session.Mask(0, 0, absl::Span<uint32_t>(update).subspan(0, 10)).ok());
  ASSERT_TRUE(session.Mask(1, 0, absl::Span<uint64_t>(counters)).ok());
  const std::vector<VectorCommit> commits = TestSite::CommitsTo({update, counters});
  EXPECT_EQ(session.Commit(commits).status().code(), kFailedPrecondition) << "a part would leave in clear";
  ASSERT_TRUE(session.Mask(0, 15, absl::Span<uint32_t>(update).subspan(15)).ok());
  EXPECT_EQ(session.Commit({commits[0]}).status().code(), kInvalid);
  EXPECT_TRUE(session.Commit(TestSite::CommitsTo({update, counters})).ok());
  EXPECT_EQ(session.Mask(0, 0, absl::Span<uint32_t>(update)).code(), kFailedPrecondition);
  EXPECT_EQ(session.phase(), ClientPhase::kCommitted);
}

TEST(SessionTest, TheTableOfStatesAsItRuns) {
  TestSum sum(4);
  TestSite& site = sum.site(1);
  std::vector<std::string> transcript;
  const auto note = [&] {
    transcript.push_back(std::string(NameOf(sum.server().phase())) + " / " +
                         std::string(NameOf(site.session().phase())));
  };
  note();
  for (int phase = 0; phase < 5; ++phase) {
    sum.Answer({1, 2, 3, 4});
    note();
    ASSERT_TRUE(sum.server().Close().ok());
  }
  note();
  EXPECT_EQ(transcript, (std::vector<std::string>{"advertise / starting", "advertise / advertised", "share / shared",
                                                  "masked_input / committed", "consistency / confirmed",
                                                  "unmask / finished", "done / finished"}));
  EXPECT_EQ(site.session().survivors(), SitesUpTo(4));
  EXPECT_EQ(sum.server().Close().code(), kFailedPrecondition);
}

}  // namespace
}  // namespace cloister::secagg
