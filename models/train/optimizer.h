#pragma once
// SPDX-License-Identifier: Apache-2.0
// SGD with momentum and AdamW on flat float vectors, one pass over memory per step. Element by element: the result does
// not depend on how the range is cut. No LibTorch.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "models/trainer.h"
#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister::models {

class Optimizer {
 public:
  Optimizer(const OptimizerOptions& options, double proximal_mu, size_t parameters);

  // Once before the Updates of a step.
  void BeginStep();
  // Elements [first, first + count) of the flat vector: w -= lr * direction(g + mu * (w - anchor)). `anchor` is the
  // initial weights (not read when mu is 0). Thread-safe for ranges that do not overlap. Same rules as torch.optim.SGD
  // and torch.optim.AdamW.
  void Update(size_t first, size_t count, float* weights, const float* gradients, const float* anchor);

  // What a checkpoint keeps. Restore: DATA_LOSS: another size.
  Bytes Save() const;
  absl::Status Restore(ByteView saved);

 private:
  OptimizerOptions options_;
  float mu_;
  uint64_t steps_ = 0;
  double correction1_ = 1;  // 1 - beta1^t
  double correction2_ = 1;
  std::vector<float> first_moment_;   // momentum buffer, or AdamW's m
  std::vector<float> second_moment_;  // AdamW's v
};

}  // namespace cloister::models
