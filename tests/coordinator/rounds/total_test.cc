// SPDX-License-Identifier: Apache-2.0
#include "coordinator/rounds/total.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace cloister::coordinator {
namespace {

template <typename T>
Bytes AsBytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(MaskedTotalTest, AddsModuloTheRingInAnyOrderAndAnyChunks) {
  std::vector<uint32_t> first(10'000);
  std::vector<uint32_t> second(10'000);
  for (uint32_t i = 0; i < first.size(); ++i) {
    first[i] = i * 2654435761u;
    second[i] = ~i * 40503u;
  }
  MaskedTotal whole({{"update", first.size(), 32}, {"counters", 2, 64}});
  ASSERT_TRUE(whole.Add(0, 0, AsBytes(first)).ok());
  ASSERT_TRUE(whole.Add(0, 0, AsBytes(second)).ok());
  ASSERT_TRUE(whole.Add(1, 0, AsBytes(std::vector<uint64_t>{~uint64_t{0}, 5})).ok());
  ASSERT_TRUE(whole.Add(1, 0, AsBytes(std::vector<uint64_t>{2, 6})).ok());

  MaskedTotal parts({{"update", first.size(), 32}, {"counters", 2, 64}});
  const Bytes bytes = AsBytes(second);
  ASSERT_TRUE(parts.Add(0, 7, ByteView(bytes).substr(28)).ok());
  ASSERT_TRUE(parts.Add(0, 0, AsBytes(first)).ok());
  ASSERT_TRUE(parts.Add(0, 0, ByteView(bytes).substr(0, 28)).ok());

  for (size_t i = 0; i < first.size(); ++i) {
    ASSERT_EQ(whole.Values32(0)[i], first[i] + second[i]);
    ASSERT_EQ(parts.Values32(0)[i], first[i] + second[i]);
  }
  EXPECT_THAT(whole.Values64(1), testing::ElementsAre(1, 11));
  EXPECT_EQ(whole.SizeBytes(0), 40'000);
  EXPECT_EQ(whole.SizeBytes(1), 16);
}

TEST(MaskedTotalTest, RefusesWhatDoesNotFit) {
  MaskedTotal total({{"update", 4, 32}, {"counters", 2, 64}});
  EXPECT_FALSE(total.Add(2, 0, "").ok());
  EXPECT_FALSE(total.Add(0, 0, Bytes(17, 'x')).ok());
  EXPECT_FALSE(total.Add(0, 0, Bytes(20, 'x')).ok());
  EXPECT_FALSE(total.Add(0, 1, Bytes(16, 'x')).ok());
  EXPECT_FALSE(total.Add(0, ~uint64_t{0}, Bytes(16, 'x')).ok());
  EXPECT_FALSE(total.Add(1, 1, Bytes(16, 'x')).ok());
  EXPECT_TRUE(total.Add(0, 0, Bytes(16, 'x')).ok());
  EXPECT_TRUE(total.Add(0, 4, "").ok());
}

}  // namespace
}  // namespace cloister::coordinator
