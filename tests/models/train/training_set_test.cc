// SPDX-License-Identifier: Apache-2.0
// Batches, class weight and the digest of a training's arguments.

#include "models/train/training_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "tests/models/train/synthetic_set.h"

namespace cloister::models {
namespace {

using ::testing::ElementsAre;

TEST(TrainingSetTest, NoBatchHasOneImage) {
  EXPECT_THAT(BatchSizes(9, 4), ElementsAre(4, 5));
  EXPECT_THAT(BatchSizes(10, 4), ElementsAre(4, 4, 2));
  EXPECT_THAT(BatchSizes(8, 4), ElementsAre(4, 4));
  EXPECT_THAT(BatchSizes(3, 16), ElementsAre(3));
  for (int64_t images = 2; images < 70; ++images) {
    for (int64_t batch = 2; batch < 20; ++batch) {
      const std::vector<int64_t> sizes = BatchSizes(images, batch);
      EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), int64_t{0}), images);
      EXPECT_GE(*std::min_element(sizes.begin(), sizes.end()), 2);
      EXPECT_LE(*std::max_element(sizes.begin(), sizes.end()), batch + 1);
    }
  }
}

TEST(TrainingSetTest, PositiveWeightBalancesTheClasses) {
  TrainingSet set;
  TrainOptions options;
  options.positive_weight = 0;
  set.labels = {1, 0, 0, 0};
  EXPECT_DOUBLE_EQ(PositiveWeight(set, options), 3);
  set.labels = {1, 1};
  EXPECT_DOUBLE_EQ(PositiveWeight(set, options), 1);
  set.labels = {0, 0};
  EXPECT_DOUBLE_EQ(PositiveWeight(set, options), 1);
  options.positive_weight = 2.5;
  EXPECT_DOUBLE_EQ(PositiveWeight(set, options), 2.5);
}

TEST(TrainingSetTest, EveryArgumentChangesTheDigest) {
  const testing::SyntheticSet data(4);
  std::set<Digest> digests;
  const auto add = [&](auto change) {
    ModelSpec spec;
    Bytes initial = "weights";
    TrainingSet set = data.set;
    TrainOptions options;
    std::string platform = "here";
    change(spec, initial, set, options, platform);
    EXPECT_TRUE(digests.insert(ArgumentsDigest(spec, initial, set, options, platform)).second);
  };
  add([](auto&&...) {});
  add([](auto& spec, auto&&...) { spec.architecture = "resnet34"; });
  add([](auto&, auto& initial, auto&&...) { initial = "other"; });
  add([](auto&, auto&, auto& set, auto&&...) { set.labels[2] = 1; });
  add([](auto&, auto&, auto& set, auto&&...) { std::swap(set.images[0], set.images[2]); });
  add([](auto&, auto&, auto&, auto& options, auto&) { options.epochs = 2; });
  add([](auto&, auto&, auto&, auto& options, auto&) { options.seed = 2; });
  add([](auto&, auto&, auto&, auto& options, auto&) { options.optimizer.lr = 2; });
  add([](auto&, auto&, auto&, auto& options, auto&) { options.augmentation.max_shift = 0.5; });
  add([](auto&, auto&, auto&, auto&, auto& platform) { platform = "elsewhere"; });
  // Of a private training: its numbers, its key and who is whose image.
  const auto add_private = [&](double noise_multiplier, double clip_norm, char key, uint32_t last_patient) {
    add([&](auto&, auto&, auto& set, auto& options, auto&) {
      set.patients = {0, 1, 2, last_patient};
      options.privacy = PrivateTraining{
          noise_multiplier, clip_norm,
          std::make_shared<const crypto::SecretBytes>(crypto::SecretBytes::CopyOf(std::string(kPrivateKeyBytes, key)))};
    });
  };
  add_private(1, 1, 'k', 3);
  add_private(2, 1, 'k', 3);
  add_private(1, 2, 'k', 3);
  add_private(1, 1, 'l', 3);
  add_private(1, 1, 'k', 2);
}

}  // namespace
}  // namespace cloister::models
