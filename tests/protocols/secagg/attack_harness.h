#pragma once
// SPDX-License-Identifier: Apache-2.0
// A cohort under attack: what its sites refuse, and what the coordinator makes of what it heard.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/protocols/secagg/extractor.h"
#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {

// Seven sites with threshold 5, of which the plan allows for two conspirators (2t > n + c). The victim is site 1, the
// conspirators are the last.
inline constexpr int kSites = 7;
inline constexpr int kThreshold = 5;
inline constexpr int kConspirators = 2;
inline constexpr uint64_t kElements = 4000;
inline const std::set<int> kAll = {1, 2, 3, 4, 5, 6, 7};
// Of 255 degrees of freedom: 8 standard deviations more than the mean, which random bytes exceed once in 10^10 times.
inline constexpr double kMostChiSquare = 255 + 8 * 22.6;

inline SumParams AttackedParams() {
  SumParams params = TestParams(kDefaultMinimum, kElements);
  params.colluders = kConspirators;
  return params;
}

// Small numbers, as updates are: a vector that is not masked is easily told from a masked one.
inline SiteVectors SmallNumbers(int number) {
  SiteVectors vectors = Zeros(AttackedParams());
  for (size_t i = 0; i < vectors.update.size(); ++i) vectors.update[i] = static_cast<uint32_t>(number * 100) + i % 10;
  return vectors;
}

inline TestSite NewSite(int number, const SumParams& params = AttackedParams()) {
  TestSite site(number, params);
  site.set_plain(SmallNumbers(number));
  return site;
}

// A sum of seven after its first `phases` phases with everybody there.
inline TestSum SumAfter(int phases, const SumParams& params = AttackedParams()) {
  TestSum sum(kSites, params);
  for (const int i : kAll) sum.site(i).set_plain(SmallNumbers(i));
  for (int phase = 0; phase < phases; ++phase) {
    sum.Answer(kAll);
    EXPECT_TRUE(sum.server().Close().ok());
  }
  return sum;
}

inline std::vector<Bytes> Adverts(const std::vector<int>& numbers) {
  return AdvertsOf(numbers, AttackedParams());
}

// The site ends its session over this message, says why, and takes back nothing.
inline void ExpectRefused(TestSite& site, const Bytes& message, const ::testing::Matcher<std::string>& evidence) {
  const absl::Status refused = site.Deliver(message).status();
  EXPECT_THAT(std::string(refused.message()), evidence);
  EXPECT_EQ(site.session().phase(), ClientPhase::kAborted);
  EXPECT_FALSE(site.Deliver(message).ok());
}

inline void ExpectNothingSent(const TestSite& victim) {
  EXPECT_TRUE(victim.conversations().back().uploaded.update.empty()) << "what depends on x has not left the site";
}

// A victim that has advertised refuses a roster of these adverts.
inline void ExpectRosterRefused(const std::vector<Bytes>& adverts, const ::testing::Matcher<std::string>& evidence) {
  TestSite victim = NewSite(1);
  victim.Advertise();
  ExpectRefused(victim, Encode(Roster{adverts}), evidence);
  ExpectNothingSent(victim);
}

// What the coordinator gets is noise, or a sum in which the victim hides among `fewest` honest sites.
inline void ExpectSafe(Extractor& extractor, const TestSite& victim, size_t fewest = kThreshold - kConspirators) {
  const std::vector<uint32_t>& x = victim.plain().update;
  ASSERT_GT(ChiSquareOfBytes(x), 100 * kMostChiSquare);
  const std::vector<std::vector<uint32_t>> residues = extractor.Residues(victim.id());
  EXPECT_FALSE(residues.empty()) << "the coordinator has not even heard the victim";
  for (const std::vector<uint32_t>& residue : residues) {
    EXPECT_NE(residue, x);
    EXPECT_LT(ChiSquareOfBytes(residue), kMostChiSquare);
  }
  for (const auto& [sites, sum] : extractor.Sums()) {
    EXPECT_TRUE(sites.count(victim.id()) == 0 || sites.size() >= fewest) << "a sum over " << sites.size();
    EXPECT_NE(sum, x);
  }
}

// What the coordinator makes of a sum's sites when the last `conspirators` tell it all they know: as a rule one less
// than the threshold, far more than the plan allows for.
inline Extractor ListenTo(TestSum& sum, int conspirators = kThreshold - 1) {
  Extractor extractor;
  for (const int i : kAll) {
    i > kSites - conspirators ? extractor.Corrupt(sum.site(i)) : extractor.Hear(sum.site(i));
  }
  return extractor;
}

// Two lists of survivors of one sum, the second without site `left_out`. Conspirators, as many as `conspirators` says,
// sign both; the honest sites in `told_second` hear the second list, the others the first.
class TwoLists {
 public:
  TwoLists(int conspirators, int left_out, const std::set<int>& told_second) {
    TestSum sum = SumAfter(2);
    std::vector<Bytes> commits[2];
    for (const int i : kAll) {
      const Bytes commit = sum.ReplyOf(i);
      ctx2_ = DecodeMaskedCommit(commit)->ctx2;
      commits[0].push_back(commit);
      if (i != left_out) commits[1].push_back(commit);
      extractor_.Hear(sum.site(i));
    }
    for (const int i : kAll) {
      const bool conspires = i > kSites - conspirators;
      for (const int list : {0, 1}) {
        if ((!conspires && list != static_cast<int>(told_second.count(i))) || (list == 1 && i == left_out)) continue;
        TestSite& site = sites_[list].emplace(i, NewSite(i)).first->second;
        site.Advertise();
        for (const Bytes& message : sum.server().MessagesFor(SiteNumber(i))) site.MustDeliver(message);
        signed_[list][i] = site.MustDeliver(Encode(SurvivorList{ctx2_, commits[list]}));
      }
    }
    for (const int list : {0, 1}) released_[list] = Release(list);
    for (const int list : {0, 1}) {
      for (const auto& [i, site] : sites_[list]) {
        i > kSites - conspirators ? extractor_.Corrupt(site) : extractor_.Hear(site);
      }
    }
  }

  bool released(int list) const { return released_[list]; }
  Extractor& extractor() { return extractor_; }

 private:
  // Where a list lacks signatures, those of the other list have to do.
  bool Release(int list) {
    std::map<int, Bytes> signatures = signed_[list];
    const bool enough = signatures.size() >= kThreshold;
    if (!enough) signatures.insert(signed_[1 - list].begin(), signed_[1 - list].end());
    SignatureSet set{ctx2_, {}};
    for (const auto& [i, signature] : signatures) set.consistencies.push_back(signature);
    for (auto& [i, site] : sites_[list]) {
      if (enough) {
        site.MustDeliver(Encode(set));
      } else {
        ExpectRefused(
            site, Encode(set),
            ::testing::AllOf(::testing::HasSubstr("site-0"), ::testing::HasSubstr("signed another list of survivors")));
      }
    }
    return enough;
  }

  Digest ctx2_;
  std::map<int, TestSite> sites_[2];
  std::map<int, Bytes> signed_[2];
  bool released_[2];
  Extractor extractor_;
};

// However the coordinator splits the honest sites 2 to 5.
inline void ForEverySplit(const std::function<void(const std::set<int>&)>& check) {
  for (uint32_t bits = 0; bits < 16; ++bits) {
    std::set<int> told_second;
    for (int i = 0; i < 4; ++i) {
      if ((bits >> i & 1) != 0) told_second.insert(i + 2);
    }
    check(told_second);
  }
}

}  // namespace cloister::secagg
