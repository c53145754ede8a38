// SPDX-License-Identifier: Apache-2.0
// The update rules against values computed by hand with torch.optim's formulas, cut in pieces, saved and restored.

#include "models/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace cloister::models {
namespace {

OptimizerOptions AdamW() {
  OptimizerOptions options;
  options.kind = OptimizerKind::kAdamW;
  options.lr = 0.1;
  options.weight_decay = 0.01;
  return options;
}

void Step(Optimizer& optimizer, std::vector<float>& weights, const std::vector<float>& gradients, size_t pieces = 1,
          const std::vector<float>* anchor = nullptr) {
  optimizer.BeginStep();
  const size_t size = weights.size() / pieces;
  for (size_t first = 0; first < weights.size(); first += size) {
    optimizer.Update(first, size, weights.data() + first, gradients.data() + first,
                     (anchor != nullptr ? *anchor : weights).data() + first);
  }
}

TEST(OptimizerTest, SgdWithMomentumAndDecay) {
  OptimizerOptions options;
  options.lr = 0.5;
  options.momentum = 0.9;
  options.weight_decay = 0.1;
  Optimizer optimizer(options, 0, 1);
  std::vector<float> w{2};
  Step(optimizer, w, {1});  // g = 1 + 0.2; buffer 1.2; w = 2 - 0.6
  EXPECT_FLOAT_EQ(w[0], 1.4F);
  Step(optimizer, w, {1});  // g = 1.14; buffer 1.08 + 1.14 = 2.22; w = 1.4 - 1.11
  EXPECT_FLOAT_EQ(w[0], 0.29F);
}

TEST(OptimizerTest, AdamWFirstStepsAreOneLearningRateLong) {
  Optimizer optimizer(AdamW(), 0, 2);
  std::vector<float> w{1, -1};
  Step(optimizer, w, {3, -0.02F});  // bias correction makes m / sqrt(v) = sign(g)
  EXPECT_NEAR(w[0], 0.999 - 0.1, 1e-6);
  EXPECT_NEAR(w[1], -0.999 + 0.1, 1e-6);
  Step(optimizer, w, {0, 0});
  // m = 0.9 * 0.3 / (1 - 0.81), v = 0.999 * 0.009 / (1 - 0.998001)
  EXPECT_NEAR(w[0], 0.899 * 0.999 - 0.1 * (0.27 / 0.19) / std::sqrt(0.008991 / 0.001999), 1e-5);
}

TEST(OptimizerTest, TheProximalTermPullsToTheAnchor) {
  OptimizerOptions options;
  options.lr = 0.1;
  options.momentum = 0;
  Optimizer optimizer(options, 2, 1);
  std::vector<float> w{3};
  const std::vector<float> anchor{1};
  Step(optimizer, w, {0}, 1, &anchor);  // 3 - 0.1 * 2 * (3 - 1)
  EXPECT_FLOAT_EQ(w[0], 2.6F);
}

TEST(OptimizerTest, PiecesAndRestoredStatesGiveTheSameBits) {
  for (const OptimizerOptions& options : {OptimizerOptions(), AdamW()}) {
    Optimizer whole(options, 0, 64);
    Optimizer pieces(options, 0, 64);
    std::vector<float> a, b, gradients;
    for (int i = 0; i < 64; ++i) {
      a.push_back(std::sin(static_cast<float>(i)));
      gradients.push_back(std::cos(static_cast<float>(3 * i)));
    }
    b = a;
    for (int step = 0; step < 3; ++step) {
      Step(whole, a, gradients);
      Step(pieces, b, gradients, 8);
      Optimizer restored(options, 0, 64);
      ASSERT_TRUE(restored.Restore(pieces.Save()).ok());
      pieces = std::move(restored);
    }
    EXPECT_EQ(a, b);
  }
}

TEST(OptimizerTest, RefusesAForeignState) {
  Optimizer optimizer(AdamW(), 0, 8);
  const Bytes saved = optimizer.Save();
  EXPECT_FALSE(Optimizer(AdamW(), 0, 9).Restore(saved).ok());
  EXPECT_FALSE(Optimizer(OptimizerOptions(), 0, 8).Restore(saved).ok());
  for (size_t size = 0; size < saved.size(); ++size) {
    EXPECT_FALSE(optimizer.Restore(ByteView(saved).substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace cloister::models
