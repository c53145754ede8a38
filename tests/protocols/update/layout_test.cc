// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/layout.h"

#include <gtest/gtest.h>

namespace cloister::update {
namespace {

using absl::StatusCode;

TEST(LayoutTest, SortsByNameAndCountsOffsets) {
  const Layout layout = Layout::Create({{"b", {2, 3}}, {"a", {}}, {"c", {0, 5}}, {"B", {4}}}).value();
  ASSERT_EQ(layout.tensors().size(), 4u);
  EXPECT_EQ(layout.tensors()[0].name, "B");
  EXPECT_EQ(layout.Find("a")->offset, 4u);
  EXPECT_EQ(layout.Find("a")->elements, 1u);
  EXPECT_EQ(layout.Find("b")->offset, 5u);
  EXPECT_EQ(layout.Find("c")->elements, 0u);
  EXPECT_EQ(layout.Find("d"), nullptr);
  EXPECT_EQ(layout.parameters(), 11u);
  EXPECT_EQ(layout, Layout::Create({{"c", {0, 5}}, {"a", {}}, {"B", {4}}, {"b", {2, 3}}}).value());
  EXPECT_NE(layout, Layout::Create({{"c", {5, 0}}, {"a", {}}, {"B", {4}}, {"b", {2, 3}}}).value());
}

TEST(LayoutTest, RefusesNamesThatAreNotNames) {
  for (const std::string& name : {std::string(), std::string("a\nb"), std::string("a\0b", 3), std::string("\xc3\xa9"),
                                  std::string("__metadata__"), std::string(513, 'x')}) {
    EXPECT_EQ(Layout::Create({{name, {1}}}).status().code(), StatusCode::kInvalidArgument) << name;
  }
  EXPECT_FALSE(Layout::Create({{"a", {1}}, {"b", {1}}, {"a", {1}}}).ok());
}

TEST(LayoutTest, RefusesSizesThatOverflow) {
  const uint64_t huge = uint64_t{1} << 63;
  for (const Shape& shape : {Shape{huge}, Shape{huge, 2}, Shape{1 << 20, (1 << 20) + 1}, Shape{0, huge},
                             Shape{~uint64_t{0}, ~uint64_t{0}}, Shape{huge, 0}, Shape(9, 1)}) {
    EXPECT_FALSE(ElementCount(shape).ok());
  }
  EXPECT_EQ(ElementCount({1 << 20, 1 << 20}).value(), Layout::kMaxParameters);
  EXPECT_FALSE(Layout::Create({{"a", {1 << 20, 1 << 20}}, {"b", {1}}}).ok());
}

TEST(LayoutTest, CanonicalEncodingRoundTripsAndRefusesEveryCut) {
  const Layout layout = Layout::Create({{"conv.weight", {64, 3, 7, 7}}, {"bn.bias", {64}}, {"scale", {}}}).value();
  const Bytes bytes = layout.CanonicalEncoding();
  EXPECT_EQ(Layout::Decode(bytes).value(), layout);
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(Layout::Decode(bytes.substr(0, cut)).ok()) << cut;
  EXPECT_FALSE(Layout::Decode(bytes + "x").ok());
}

// Whatever bytes decode, encode to the same bytes: no two encodings of one layout.
TEST(LayoutTest, FlippedBitsAreRefusedOrAnotherLayout) {
  const Layout layout = Layout::Create({{"a", {2, 3}}, {"b", {4}}}).value();
  const Bytes bytes = layout.CanonicalEncoding();
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const absl::StatusOr<Layout> decoded = Layout::Decode(flipped);
    if (!decoded.ok()) continue;
    EXPECT_NE(*decoded, layout);
    EXPECT_EQ(decoded->CanonicalEncoding(), flipped);
  }
}

TEST(LayoutTest, DecodeRefusesUnsortedTensorsAndHugeCounts) {
  CanonicalWriter unsorted;
  unsorted.Blob("cloister/layout").U32(1).U32(2).Blob("b").U32(0).Blob("a").U32(0);
  EXPECT_EQ(Layout::Decode(unsorted.bytes()).status().code(), StatusCode::kInvalidArgument);
  CanonicalWriter many;
  many.Blob("cloister/layout").U32(1).U32(0xffffffff);
  EXPECT_EQ(Layout::Decode(many.bytes()).status().code(), StatusCode::kDataLoss);
  CanonicalWriter deep;
  deep.Blob("cloister/layout").U32(1).U32(1).Blob("a").U32(0xffffffff);
  EXPECT_EQ(Layout::Decode(deep.bytes()).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cloister::update
