// SPDX-License-Identifier: Apache-2.0
// Augmentation repeats itself for a seed, stays small, and leaves sides where they are unless told otherwise.

#include "models/preprocess/augment.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

namespace cloister::models {
namespace {

constexpr int kSide = 48;

// Left half dark, right half bright.
std::vector<uint8_t> Halves(int channels = 1) {
  std::vector<uint8_t> image(static_cast<size_t>(channels) * kSide * kSide);
  for (size_t i = 0; i < image.size(); ++i) {
    image[i] = i % kSide < kSide / 2 ? 60 : 200;
  }
  return image;
}

std::vector<uint8_t> Augmented(uint64_t seed, const AugmentConfig& config, int channels = 1) {
  const std::vector<uint8_t> input = Halves(channels);
  std::vector<uint8_t> output(input.size());
  Random random({seed});
  Augment(input.data(), output.data(), channels, kSide, kSide, config, random);
  return output;
}

AugmentConfig Nothing() {
  return {0, 0, 0, 0, 0, false};
}

TEST(AugmentTest, NothingToDoChangesNothing) {
  EXPECT_EQ(Augmented(1, Nothing()), Halves());
}

TEST(AugmentTest, RepeatsItselfForASeedAndDiffersForAnother) {
  EXPECT_EQ(Augmented(1, {}), Augmented(1, {}));
  EXPECT_NE(Augmented(1, {}), Augmented(2, {}));
}

TEST(AugmentTest, KeepsSidesUnlessFlippingIsAllowed) {
  AugmentConfig config;
  int flipped = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    config.flip_horizontal = false;
    const std::vector<uint8_t> kept = Augmented(seed, config);
    EXPECT_LT(kept[24 * kSide + 8], kept[24 * kSide + 40]) << seed;
    config.flip_horizontal = true;
    const std::vector<uint8_t> maybe = Augmented(seed, config);
    flipped += maybe[24 * kSide + 8] > maybe[24 * kSide + 40];
  }
  EXPECT_GT(flipped, 60);  // of 200 fair coins: below with probability < 1e-8
  EXPECT_LT(flipped, 140);
}

TEST(AugmentTest, ChannelsMoveTogether) {
  const std::vector<uint8_t> out = Augmented(3, {}, 3);
  EXPECT_TRUE(std::equal(out.begin(), out.begin() + kSide * kSide, out.begin() + kSide * kSide));
  EXPECT_TRUE(std::equal(out.begin(), out.begin() + kSide * kSide, out.begin() + 2 * kSide * kSide));
}

TEST(AugmentTest, TheWholeShiftIsMadeOfWhatWasThere) {
  AugmentConfig config = Nothing();
  config.max_shift = 1;  // out of the picture and beyond
  for (uint64_t seed = 0; seed < 50; ++seed) {
    for (uint8_t pixel : Augmented(seed, config)) {
      EXPECT_LE(pixel, 200);
    }
  }
}

}  // namespace
}  // namespace cloister::models
