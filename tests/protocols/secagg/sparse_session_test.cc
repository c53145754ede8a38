// SPDX-License-Identifier: Apache-2.0
// Sums of more than 64 sites: exact whoever drops out, on a graph that every site computes itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <random>
#include <thread>

#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

std::set<int> Drop(std::set<int> from, size_t count, std::mt19937_64& random) {
  for (; count > 0; --count) from.erase(std::next(from.begin(), static_cast<long>(random() % from.size())));
  return from;
}

// As TestSum::Answer, on all cores: most of the work is that every site checks the signatures of every other.
void AnswerOnAllCores(TestSum& sum, const std::set<int>& who) {
  const std::vector<int> sites(who.begin(), who.end());
  std::vector<Bytes> replies(sites.size());
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); ++t) {
    threads.emplace_back([&] {
      for (size_t i = next++; i < sites.size(); i = next++) replies[i] = sum.ReplyOf(sites[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < sites.size(); ++i) {
    const absl::Status taken = sum.server().Handle(SiteNumber(sites[i]), replies[i]);
    ASSERT_TRUE(taken.ok()) << taken;
  }
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
  for (const std::set<int>* phase : {&who.advertise, &who.share, &who.masked_input, &who.consistency, &who.unmask}) {
    AnswerOnAllCores(sum, *phase);
    if (::testing::Test::HasFatalFailure()) return;
    const absl::Status closed = sum.server().Close();
    ASSERT_TRUE(closed.ok()) << closed;
  }
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

// Time grows with the square; cloister-bench federation has 300 and 1000.
TEST(SparseSessionTest, OneHundredAndSixty) {
  ExpectExactDespiteDropouts(160, 5, 4);
}

}  // namespace
}  // namespace cloister::secagg
