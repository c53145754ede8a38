// SPDX-License-Identifier: Apache-2.0
// The tag by which sites check what is published as their sum.
#include "protocols/secagg/check_tag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

using ::testing::HasSubstr;
__extension__ typedef unsigned __int128 Uint128;

const std::vector<VectorSpec>& Specs() {
  static const std::vector<VectorSpec> specs = {
      {"update", 5000, 32}, {"counters", 70, 64}, {"narrow", 3000, 16}, {"odd", 3000, 24}};
  return specs;
}

crypto::SecretBytes Seed(const char* name) {
  return crypto::SecretBytes::CopyOf(crypto::Sha256(name).view());
}

// r of a vector, read off unit vectors.
template <typename T>
uint64_t Weight(const crypto::SecretBytes& seed, size_t index, uint64_t at) {
  const T one = 1;
  CheckTag tag(seed, Specs());
  tag.Add(index, at, absl::Span<const T>(&one, 1));
  return tag.value();
}

uint64_t Product(uint64_t a, uint64_t b) {
  return static_cast<uint64_t>(static_cast<Uint128>(a) * b % kFieldPrime);
}

TEST(CheckTagTest, IsTheInnerProductOfSignedResidues) {
  const crypto::SecretBytes seed = Seed("a");
  std::mt19937 random(1);
  std::vector<uint32_t> x(5000);
  for (uint32_t& value : x) value = static_cast<uint32_t>(random());
  x[0] = 0x80000000U;
  x[1] = 0x7fffffffU;
  x[2] = 0xffffffffU;
  x[3] = 0;
  uint64_t wanted = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto value = static_cast<int32_t>(x[i]);
    const uint64_t product = Product(Weight<uint32_t>(seed, 0, i), static_cast<uint64_t>(std::abs(int64_t{value})));
    wanted = value < 0 ? FieldSub(wanted, product) : FieldAdd(wanted, product);
  }
  CheckTag whole(seed, Specs());
  whole.Add(0, 0, absl::Span<const uint32_t>(x));
  EXPECT_EQ(whole.value(), wanted);
  CheckTag pieces(seed, Specs());
  for (const auto& [first, size] : std::vector<std::pair<size_t, size_t>>{{4000, 1000}, {1, 2}, {3, 3997}, {0, 1}}) {
    pieces.Add(0, first, absl::Span<const uint32_t>(x).subspan(first, size));
  }
  EXPECT_EQ(pieces.value(), wanted);
}

TEST(CheckTagTest, IsTheSameInnerProductInNarrowRings) {
  const crypto::SecretBytes seed = Seed("a");
  std::mt19937 random(2);
  for (const size_t index : {2, 3}) {
    const int bits = Specs()[index].ring_bits;
    const uint32_t half = uint32_t{1} << (bits - 1);
    std::vector<uint32_t> x(3000);
    for (uint32_t& value : x) value = static_cast<uint32_t>(random()) & (2 * half - 1);
    x[0] = half, x[1] = half - 1, x[2] = 2 * half - 1, x[3] = 0;
    uint64_t wanted = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const bool negative = x[i] >= half;
      const uint64_t product = Product(Weight<uint32_t>(seed, index, i), negative ? 2 * half - x[i] : x[i]);
      wanted = negative ? FieldSub(wanted, product) : FieldAdd(wanted, product);
    }
    CheckTag tag(seed, Specs());
    tag.Add(index, 0, absl::Span<const uint32_t>(x));
    EXPECT_EQ(tag.value(), wanted) << bits;
  }
}

TEST(CheckTagTest, WideElementsAreSignedToo) {
  const crypto::SecretBytes seed = Seed("a");
  std::vector<uint64_t> x(70);
  for (size_t i = 0; i < x.size(); ++i) x[i] = i == 0 ? ~uint64_t{0} : (i * 0x9e3779b97f4a7c15ULL);
  x[1] = uint64_t{1} << 63;
  uint64_t wanted = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool negative = x[i] >> 63 != 0;
    const uint64_t product = Product(Weight<uint64_t>(seed, 1, i), (negative ? ~x[i] + 1 : x[i]) % kFieldPrime);
    wanted = negative ? FieldSub(wanted, product) : FieldAdd(wanted, product);
  }
  CheckTag tag(seed, Specs());
  tag.Add(1, 30, absl::Span<const uint64_t>(x).subspan(30));
  tag.Add(1, 0, absl::Span<const uint64_t>(x).subspan(0, 30));
  EXPECT_EQ(tag.value(), wanted);
}

// Of 67,108,865, 134,217,729, 2^29 + 1 (the weights' stream passes 4 GiB) and 10^9 elements the last ones.
TEST(CheckTagTest, PlacesPast32BitsHaveWeightsOfTheirOwn) {
  const crypto::SecretBytes seed = Seed("large");
  const auto tag_of = [&](uint64_t first, const std::vector<uint32_t>& x) {
    CheckTag tag(seed, {{"update", 1'000'000'000, 32}});
    tag.Add(0, first, absl::Span<const uint32_t>(x));
    return tag.value();
  };
  std::set<uint64_t> places;
  std::set<uint64_t> weights;
  for (const uint64_t last : {uint64_t{67'108'864}, uint64_t{134'217'728}, uint64_t{1} << 29, uint64_t{999'999'999}}) {
    EXPECT_EQ(tag_of(last - 1, {3, 5}), FieldAdd(tag_of(last - 1, {3}), tag_of(last, {5})));
    // And where an offset that lost its upper bits would be.
    for (const uint64_t at : {last, last % (uint64_t{1} << 29), last % (uint64_t{1} << 26)}) {
      places.insert(at);
      weights.insert(tag_of(at, {1}));
    }
  }
  EXPECT_EQ(weights.size(), places.size());
}

TEST(CheckTagTest, NoWeightIsUsedTwice) {
  std::set<uint64_t> weights;
  for (const char* name : {"a", "b"}) {
    const crypto::SecretBytes seed = Seed(name);
    for (uint64_t i = 0; i < 70; ++i) {
      weights.insert(Weight<uint32_t>(seed, 0, i));
      weights.insert(Weight<uint64_t>(seed, 1, i));
    }
  }
  EXPECT_EQ(weights.size(), 280u);
}

// ---- in a sum ----

SiteVectors Small(const SumParams& params, int number) {
  SiteVectors vectors = RandomVectors(params, static_cast<uint64_t>(number));
  for (uint32_t& value : vectors.update) value = static_cast<uint32_t>(static_cast<int32_t>(value) >> 6);
  for (uint64_t& value : vectors.counters) value >>= 8;
  return vectors;
}

// A sum without overflow.
TestSum SmallSum(int n, const Attendance& attendance) {
  TestSum sum(n);
  for (int i = 1; i <= n; ++i) sum.site(i).set_plain(Small(sum.params(), i));
  sum.Run(attendance);
  return sum;
}

TEST(CheckTagTest, TheTagOfTheSumIsTheInnerProductOfTheSumWhoeverDropsOut) {
  const int n = 5;
  const std::set<int> all = {1, 2, 3, 4, 5};
  const std::set<int> four = {1, 3, 4, 5};
  for (const Attendance& attendance : {Attendance{all, all, all, all, all}, Attendance{four, four, four, four, four},
                                       Attendance{all, four, four, four, four}, Attendance{all, all, four, four, four},
                                       Attendance{all, all, all, four, four}, Attendance{all, all, all, all, four}}) {
    TestSum sum = SmallSum(n, attendance);
    const auto published = sum.server().published();
    ASSERT_TRUE(published.ok()) << published.status();
    const SiteVectors result = sum.Result();
    for (const int i : attendance.unmask) {
      const SumCheck* check = sum.site(i).session().check();
      ASSERT_NE(check, nullptr);
      EXPECT_EQ(check->ctx2, published->ctx2);
      EXPECT_EQ(check->survivors, published->survivors);
      EXPECT_EQ(TagOf(check->seed, sum.params(), result), published->tag);
    }
  }
}

TEST(CheckTagTest, AnyOtherSumIsFoundOut) {
  TestSum sum = SmallSum(4, Attendance::Everybody(4));
  const SumCheck& check = *sum.site(2).session().check();
  const uint64_t tag = sum.server().published()->tag;
  const SiteVectors result = sum.Result();
  ASSERT_EQ(TagOf(check.seed, sum.params(), result), tag);
  for (size_t i = 0; i < result.update.size(); ++i) {
    for (const uint32_t change : {1U, 0xffffffffU, 0x80000000U}) {
      SiteVectors forged = result;
      forged.update[i] += change;
      EXPECT_NE(TagOf(check.seed, sum.params(), forged), tag) << i;
    }
  }
  for (size_t i = 0; i < result.counters.size(); ++i) {
    SiteVectors forged = result;
    forged.counters[i] += 1;
    EXPECT_NE(TagOf(check.seed, sum.params(), forged), tag) << i;
  }
  SiteVectors swapped = result;
  std::swap(swapped.update[3], swapped.update[4]);
  EXPECT_NE(TagOf(check.seed, sum.params(), swapped), tag);
}

TEST(CheckTagTest, TheTagOnTheWireIsMasked) {
  TestSum sum = SmallSum(4, Attendance::Everybody(4));
  for (int i = 1; i <= 4; ++i) {
    const MaskedCommit commit = sum.server().CommitOf(SiteNumber(i)).value();
    const uint64_t plain = TagOf(sum.site(i).session().check()->seed, sum.params(), sum.site(i).plain());
    EXPECT_NE(commit.tag, plain) << i;
  }
}

TEST(CheckTagTest, EverySumHasItsOwnSeed) {
  TestSum sum = SmallSum(4, Attendance::Everybody(4));
  SumParams later = TestParams();
  later.round += 1;
  TestSum next(4, later);
  next.Run(Attendance::Everybody(4));
  EXPECT_TRUE(sum.site(1).session().check()->seed == sum.site(4).session().check()->seed);
  EXPECT_FALSE(sum.site(1).session().check()->seed == next.site(1).session().check()->seed);
}

// ---- who says that the models are the right ones ----

TEST(ModelsCheckedTest, OneSiteMoreThanCouldCollude) {
  for (const int colluders : {0, 1}) {
    for (int checked = 0; checked <= 5; ++checked) {
      SumParams params = TestParams();
      params.colluders = colluders;
      TestSum sum(5, params);
      for (int i = 1; i <= 5; ++i) {
        sum.site(i).set_models_checked(i <= checked);
        sum.site(i).Start();
      }
      sum.Answer({1, 2, 3, 4, 5});
      ASSERT_TRUE(sum.server().Close().ok());
      const auto heard = sum.site(5).Deliver(sum.server().MessagesFor(SiteNumber(5)).back());
      EXPECT_EQ(heard.ok(), checked > colluders) << checked << " " << heard.status();
      if (!heard.ok()) {
        EXPECT_EQ(heard.status().code(), absl::StatusCode::kAborted);
        EXPECT_THAT(std::string(heard.status().message()), HasSubstr("have checked that the models"));
      }
    }
  }
}

}  // namespace
}  // namespace cloister::secagg
