// SPDX-License-Identifier: Apache-2.0
// The extractor finds a vector wherever the coordinator can have it: just beyond what the protocol allows.
#include "tests/protocols/secagg/extractor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/protocols/secagg/attack_harness.h"

namespace cloister::secagg {
namespace {

TEST(ExtractorTest, AnHonestSumIsAllThatItGives) {
  TestSum sum = SumAfter(5);
  Extractor extractor = ListenTo(sum, 0);
  const auto sums = extractor.Sums();
  ASSERT_EQ(sums.size(), 1u);
  EXPECT_EQ(sums.begin()->first.size(), size_t{kSites});
  EXPECT_EQ(sums.begin()->second, sum.Oracle().update);
}

// t - 1 conspiring sites and the coordinator have nothing; t hold the shares of both kinds before anybody unmasks.
TEST(ExtractorTest, TheThresholdIsTheBoundaryOfConspiracy) {
  for (const int phases : {3, 5}) {
    TestSum sum = SumAfter(phases);
    Extractor fewer = ListenTo(sum, kThreshold - 1);
    ExpectSafe(fewer, sum.site(1), kSites - (kThreshold - 1));
    Extractor enough = ListenTo(sum, kThreshold);
    EXPECT_THAT(enough.Residues(SiteNumber(1)), ::testing::ElementsAre(sum.site(1).plain().update));
  }
}

// With one conspirator more than 2t > n + c allows, two lists are both released, and the victim is found.
TEST(ExtractorTest, TheBoundOnConspiratorsIsTight) {
  ASSERT_LE(2 * kThreshold, kSites + kConspirators + 1);
  TwoLists attack(kConspirators + 1, 1, {3, 4});
  ASSERT_TRUE(attack.released(0) && attack.released(1));
  EXPECT_THAT(attack.extractor().Residues(SiteNumber(1)), ::testing::ElementsAre(SmallNumbers(1).update));
}

// Sites that forgot that a round is closed would give a second sum of it, and the difference is the victim's vector.
TEST(ExtractorTest, TwoSumsOfARoundGiveTheirDifference) {
  TestSum sum = SumAfter(5);
  SumParams again = AttackedParams();
  again.attempt = 1;
  TestSum without(kSites, again);
  for (const int i : kAll) without.site(i).set_plain(SmallNumbers(i));
  const std::set<int> others = {2, 3, 4, 5, 6, 7};
  without.Run({others, others, others, others, others});
  Extractor extractor = ListenTo(sum, 0);
  for (const int i : others) extractor.Hear(without.site(i));
  const auto sums = extractor.Sums();
  ASSERT_EQ(sums.count({SiteNumber(1)}), 1u);
  EXPECT_EQ(sums.at({SiteNumber(1)}), sum.site(1).plain().update);
}

}  // namespace
}  // namespace cloister::secagg
