// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph_permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace cloister::secagg {
namespace {

crypto::SeededStream StreamOf(uint32_t number) {
  return {crypto::SecretBytes::CopyOf(CanonicalWriter().U32(number).bytes()), "test"};
}

TEST(UniformBelowTest, StaysBelowAndReachesEverything) {
  crypto::SeededStream stream = StreamOf(0);
  for (const uint64_t bound : {uint64_t{1}, uint64_t{2}, uint64_t{3}, uint64_t{7}}) {
    std::map<uint64_t, int> seen;
    for (int i = 0; i < 500; ++i) ++seen[UniformBelow(stream, bound)];
    EXPECT_EQ(seen.size(), bound);
    EXPECT_LT(seen.rbegin()->first, bound);
  }
}

TEST(UniformBelowTest, HasNoModuloBias) {
  // 3/4 of 2^64: a plain remainder would fall into the lowest third twice as often as into each of the others.
  const uint64_t third = uint64_t{1} << 62;
  crypto::SeededStream stream = StreamOf(1);
  const int draws = 30'000;
  int counts[3] = {};
  for (int i = 0; i < draws; ++i) ++counts[UniformBelow(stream, 3 * third) / third];
  // Five standard deviations of a binomial: sqrt(30000 * 1/3 * 2/3) = 82. The bias would be 5000.
  for (const int count : counts) EXPECT_NEAR(count, draws / 3, 5 * 82);
}

TEST(UniformBelowTest, PowersOfTwoTakeEveryDraw) {
  crypto::SeededStream stream = StreamOf(2);
  for (int i = 0; i < 100; ++i) UniformBelow(stream, uint64_t{1} << 63);
  EXPECT_EQ(stream.position(), 800u);
}

TEST(RandomPermutationTest, IsAPermutation) {
  for (const uint32_t n : {0u, 1u, 2u, 65u, 1000u}) {
    crypto::SeededStream stream = StreamOf(n);
    std::vector<uint32_t> order = RandomPermutation(stream, n);
    std::sort(order.begin(), order.end());
    for (uint32_t i = 0; i < n; ++i) EXPECT_EQ(order[i], i);
    EXPECT_EQ(order.size(), n);
  }
}

TEST(RandomPermutationTest, EveryOrderOfFiveIsAsLikely) {
  const int draws = 24'000;
  crypto::SeededStream stream = StreamOf(3);
  std::map<std::vector<uint32_t>, int> counts;
  for (int i = 0; i < draws; ++i) ++counts[RandomPermutation(stream, 5)];
  ASSERT_EQ(counts.size(), 120u);
  const double expected = draws / 120.0;
  double chi_square = 0;
  for (const auto& [order, count] : counts) chi_square += (count - expected) * (count - expected) / expected;
  // 119 degrees of freedom: outside 68 to 189 once in ten thousand. The stream is fixed, so this never flickers.
  EXPECT_GT(chi_square, 68);
  EXPECT_LT(chi_square, 189);
}

}  // namespace
}  // namespace cloister::secagg
