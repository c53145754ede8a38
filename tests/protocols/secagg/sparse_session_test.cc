// SPDX-License-Identifier: Apache-2.0
// Sums of more than 64 sites: exact whoever drops out, on a graph that every site computes itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>

#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

std::set<int> Drop(std::set<int> from, size_t count, std::mt19937_64& random) {
  for (; count > 0; --count) from.erase(std::next(from.begin(), static_cast<long>(random() % from.size())));
  return from;
}

void ExpectExactDespiteDropouts(int n, int colluders, uint64_t seed) {
  std::mt19937_64 random(seed);
  TestSum sum(n, SparseParams(n, colluders, 11));
  const size_t few = static_cast<size_t>(n) / 50;  // in each of the five phases: a tenth in all
  Attendance who = Attendance::Everybody(n);
  who.advertise = Drop(who.advertise, few, random);
  who.share = Drop(who.advertise, few, random);
  who.masked_input = Drop(who.share, few, random);
  who.consistency = Drop(who.masked_input, few, random);
  who.unmask = Drop(who.masked_input, few, random);
  sum.Run(who);
  if (::testing::Test::HasFatalFailure()) return;
  EXPECT_EQ(sum.Result(), sum.Oracle()) << n;
  EXPECT_EQ(sum.server().survivors().size(), who.masked_input.size());
  EXPECT_TRUE(sum.server().blames().empty());
}

TEST(SparseSessionTest, SixtyFive) {
  ExpectExactDespiteDropouts(65, 21, 1);
  ExpectExactDespiteDropouts(65, 1, 2);
}

TEST(SparseSessionTest, AHundred) {
  ExpectExactDespiteDropouts(100, 33, 3);
}

}  // namespace
}  // namespace cloister::secagg
