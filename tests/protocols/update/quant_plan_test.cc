// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/quant_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace cloister::update {
namespace {

using absl::StatusCode;

TEST(QuantPlanTest, ChoosesTheLargestPowerOfTwoThatFits) {
  const QuantPlan plan = QuantPlan::Choose(4, 0.5).value();
  EXPECT_EQ(plan.scale, 0x1p29);  // 4 * 2^28 = 2^30 < 2^31; one more bit would reach it
  for (const uint32_t bits : {16u, 24u, 32u, 64u}) {
    for (const uint32_t sites : {1u, 2u, 3u, 4u, 10u, 1000u}) {
      for (const double clip : {1e-30, 1e-3, 0.3, 1.0, 5.0, 1e30}) {
        QuantPlan chosen = QuantPlan::Choose(sites, clip, bits).value();
        EXPECT_TRUE(chosen.Check().ok());
        chosen.scale *= 2;
        EXPECT_EQ(chosen.Check().code(), StatusCode::kFailedPrecondition);
      }
    }
  }
}

TEST(QuantPlanTest, GuardTripsExactlyAtTheLimit) {
  // 3 * ceil(2^20 * 1) + slack < 2^31
  QuantPlan plan;
  plan.clip = 1;
  plan.scale = 0x1p20;
  plan.sites = 3;
  plan.slack = (uint64_t{1} << 31) - 3 * (uint64_t{1} << 20) - 1;
  EXPECT_TRUE(plan.Check().ok());
  ++plan.slack;
  EXPECT_EQ(plan.Check().code(), StatusCode::kFailedPrecondition);
  --plan.slack;
  plan.clip = std::nextafter(1.0, 2.0);  // ceil: one more unit per site
  EXPECT_EQ(plan.Check().code(), StatusCode::kFailedPrecondition);
  plan.slack -= 3;
  EXPECT_TRUE(plan.Check().ok());
  plan.slack = ~uint64_t{0};
  EXPECT_EQ(plan.Check().code(), StatusCode::kFailedPrecondition);
  // Sites alone: (2^31 - 1) / 2^20 = 2047 sites fit, 2048 do not.
  plan = {32, 1, 0x1p20, 2047, 0};
  EXPECT_TRUE(plan.Check().ok());
  plan.sites = 2048;
  EXPECT_EQ(plan.Check().code(), StatusCode::kFailedPrecondition);
  plan.sites = std::numeric_limits<uint32_t>::max();
  EXPECT_EQ(plan.Check().code(), StatusCode::kFailedPrecondition);
}

// Of 64 bits the tag leaves 2^60 on either side, and a double 2^51 to each site.
TEST(QuantPlanTest, AWideRingHasItsOwnLimits) {
  QuantPlan plan{64, 1, 0x1p51, 1, (uint64_t{1} << 60) - (uint64_t{1} << 51) - 1};
  EXPECT_TRUE(plan.Check().ok());
  ++plan.slack;
  EXPECT_EQ(plan.Check().code(), StatusCode::kFailedPrecondition);
  plan.slack = 0;
  plan.clip = std::nextafter(1.0, 2.0);
  EXPECT_EQ(plan.Check().code(), StatusCode::kFailedPrecondition);
  plan = {64, 1, 0x1p51, 511, 0};
  EXPECT_TRUE(plan.Check().ok());
  plan.sites = 512;
  EXPECT_EQ(plan.Check().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(QuantPlan::Choose(512, 1, 64)->scale, 0x1p50);
}

TEST(QuantPlanTest, RefusesNonsense) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double clip : {0.0, -1.0, infinity, nan, 1e-31, 1e31}) {
    EXPECT_EQ(QuantPlan::Choose(3, clip).status().code(), StatusCode::kInvalidArgument) << clip;
  }
  EXPECT_EQ(QuantPlan::Choose(0, 1).status().code(), StatusCode::kInvalidArgument);
  for (const uint32_t bits : {0u, 8u, 31u, 33u, 40u, 63u, 128u}) EXPECT_FALSE(QuantPlan::Choose(3, 1, bits).ok());
  EXPECT_EQ(QuantPlan::Choose(40000, 1, 16).status().code(), StatusCode::kFailedPrecondition);
  for (const double scale : {0.0, -2.0, 3.0, infinity, nan}) EXPECT_FALSE((QuantPlan{32, 1, scale, 3, 0}).Check().ok());
}

TEST(FitsPatternTest, AStarIsAnythingOrNothing) {
  for (const char* pattern : {"layer1.0.bn1.weight", "*", "layer1*", "*weight", "*.bn1.*", "layer*.*.bn*.weight", "**",
                              "l*r1.0.bn1.weight*", "*layer1.0.bn1.weight*"}) {
    EXPECT_TRUE(FitsPattern("layer1.0.bn1.weight", pattern)) << pattern;
  }
  for (const char* pattern : {"", "layer1", "layer1.0.bn1.weigh", "*.bias", "bn1*", "*bn1", "layer1.0.bn1.weight.*",
                              "*.bn1.*.weight", "layer1?0*", "*weight*weight"}) {
    EXPECT_FALSE(FitsPattern("layer1.0.bn1.weight", pattern)) << pattern;
  }
  EXPECT_TRUE(FitsPattern("", ""));
  EXPECT_TRUE(FitsPattern("", "*"));
  EXPECT_TRUE(FitsPattern("aab", "*ab"));
  EXPECT_FALSE(FitsPattern("a", "a*a"));
}

Layout SomeLayout() {
  return Layout::Create({{"bn.running_var", {4}}, {"bn.weight", {4}}, {"conv.weight", {3, 3}}, {"fc.weight", {2, 5}}})
      .value();
}

TEST(QuantMapTest, TheFirstClipThatFitsCountsAndTheRestHasTheDefault) {
  QuantPlan whole;
  whole.ring_bits = 24;
  whole.clip = 1;
  whole.sites = 10;
  whole.slack = 12345;
  const TensorClip clips[] = {{"*.running_var", 100}, {"bn.*", 0.25}};
  const QuantMap map = QuantMap::Create(whole, clips, SomeLayout()).value();
  EXPECT_TRUE(map.Check().ok());
  ASSERT_EQ(map.segments().size(), 3u);  // conv.weight and fc.weight are one
  const uint64_t ends[] = {4, 8, 27};
  const double bounds[] = {100, 0.25, 1};
  for (size_t i = 0; i < 3; ++i) {
    const QuantPlan& plan = map.segments()[i].plan;
    EXPECT_EQ(map.segments()[i].end, ends[i]);
    EXPECT_EQ(plan.clip, bounds[i]);
    EXPECT_EQ(plan.scale, QuantPlan::Choose(10, bounds[i], 24, 12345)->scale);
    EXPECT_EQ(plan.slack, 12345u);
  }
  EXPECT_EQ(map.At(0).plan.clip, 100);
  EXPECT_EQ(map.At(3).plan.clip, 100);
  EXPECT_EQ(map.At(4).plan.clip, 0.25);
  EXPECT_EQ(map.At(26).plan.clip, 1);
}

TEST(QuantMapTest, WhatCannotBeIsRefusedByName) {
  QuantPlan whole;
  whole.clip = 1;
  whole.sites = 10;
  const TensorClip unknown[] = {{"*.weight", 2}, {"gn.*", 3}};
  const absl::Status nothing = QuantMap::Create(whole, unknown, SomeLayout()).status();
  EXPECT_EQ(nothing.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(nothing.message()), ::testing::HasSubstr("\"gn.*\""));
  const TensorClip zero[] = {{"fc.*", 0}};
  const absl::Status bad = QuantMap::Create(whole, zero, SomeLayout()).status();
  EXPECT_EQ(bad.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bad.message()), ::testing::HasSubstr("fc.weight"));
  whole.ring_bits = 16;
  whole.sites = 40'000;
  EXPECT_EQ(QuantMap::Create(whole, {}, SomeLayout()).status().code(), StatusCode::kFailedPrecondition);
  whole.sites = 10;
  EXPECT_EQ(QuantMap::Create(whole, {}, Layout()).status().code(), StatusCode::kFailedPrecondition);
}

TEST(QuantMapTest, OnePlanIsAMapOfAnyVector) {
  const QuantMap map = QuantPlan::Choose(4, 1).value();
  EXPECT_EQ(map.At(0).plan.clip, 1);
  EXPECT_EQ(map.At(uint64_t{1} << 40).plan.clip, 1);
  EXPECT_TRUE(map.Check().ok());
  EXPECT_FALSE(QuantMap(QuantPlan()).Check().ok());
}

}  // namespace
}  // namespace cloister::update
