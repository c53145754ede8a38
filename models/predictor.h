#pragma once
// SPDX-License-Identifier: Apache-2.0
// The door to inference: images in, probabilities out. No LibTorch in this header.

#include <cstdint>
#include <memory>
#include <vector>

#include "models/model_spec.h"
#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister::models {

struct ImageBatch {
  int channels = 1;
  int rows = 0;
  int columns = 0;
  std::vector<const uint8_t*> images;  // each uint8 [C, H, W], owned by the caller
};

// One set of weights, ready. Not thread-safe.
class Predictor {
 public:
  // INVALID_ARGUMENT: weights that do not fit the architecture or are not finite; unknown architecture.
  static absl::StatusOr<std::unique_ptr<Predictor>> Create(const ModelSpec& spec, const Bytes& model);
  virtual ~Predictor() = default;

  // Probability of the positive class per image, [N], in order. The result for an image does not depend on what else is
  // in the batch beyond float rounding.
  // INVALID_ARGUMENT: channels that do not fit; a network with more than one output, or a map. OUT_OF_RANGE: a
  // prediction is not finite. RESOURCE_EXHAUSTED: out of memory.
  virtual absl::StatusOr<std::vector<double>> Predict(const ImageBatch& batch) = 0;
};

}  // namespace cloister::models
