// SPDX-License-Identifier: Apache-2.0
// The update rules.

#include "models/train/optimizer.h"

#include <cmath>
#include <cstring>

namespace cloister::models {
namespace {

ByteView AsBytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

}  // namespace

Optimizer::Optimizer(const OptimizerOptions& options, double proximal_mu, size_t parameters)
    : options_(options), mu_(static_cast<float>(proximal_mu)) {
  if (options.kind == OptimizerKind::kAdamW || options.momentum != 0) {
    first_moment_.resize(parameters);
  }
  if (options.kind == OptimizerKind::kAdamW) {
    second_moment_.resize(parameters);
  }
}

void Optimizer::BeginStep() {
  ++steps_;
  correction1_ = 1 - std::pow(options_.beta1, static_cast<double>(steps_));
  correction2_ = 1 - std::pow(options_.beta2, static_cast<double>(steps_));
}

void Optimizer::Update(size_t first, size_t count, float* __restrict weights, const float* __restrict gradients,
                       const float* __restrict anchor) {
  const auto lr = static_cast<float>(options_.lr);
  const auto decay = static_cast<float>(options_.weight_decay);
  const float mu = mu_;
  const auto gradient = [&](size_t i) { return mu == 0 ? gradients[i] : gradients[i] + mu * (weights[i] - anchor[i]); };
  if (options_.kind == OptimizerKind::kSgd) {
    if (first_moment_.empty()) {
      for (size_t i = 0; i < count; ++i) {
        weights[i] -= lr * (gradient(i) + decay * weights[i]);
      }
      return;
    }
    const auto momentum = static_cast<float>(options_.momentum);
    float* __restrict buffer = first_moment_.data() + first;
    for (size_t i = 0; i < count; ++i) {
      buffer[i] = momentum * buffer[i] + (gradient(i) + decay * weights[i]);
      weights[i] -= lr * buffer[i];
    }
    return;
  }
  const auto beta1 = static_cast<float>(options_.beta1);
  const auto beta2 = static_cast<float>(options_.beta2);
  const auto rest1 = static_cast<float>(1 - options_.beta1);
  const auto rest2 = static_cast<float>(1 - options_.beta2);
  const auto epsilon = static_cast<float>(options_.epsilon);
  const auto step = static_cast<float>(options_.lr / correction1_);
  const auto root = static_cast<float>(1 / std::sqrt(correction2_));
  const auto keep = static_cast<float>(1 - options_.lr * options_.weight_decay);
  float* __restrict m = first_moment_.data() + first;
  float* __restrict v = second_moment_.data() + first;
  for (size_t i = 0; i < count; ++i) {
    const float g = gradient(i);
    m[i] = beta1 * m[i] + rest1 * g;
    v[i] = beta2 * v[i] + rest2 * g * g;
    weights[i] = keep * weights[i] - step * m[i] / (std::sqrt(v[i]) * root + epsilon);
  }
}

Bytes Optimizer::Save() const {
  CanonicalWriter writer;
  writer.U64(steps_).Blob(AsBytes(first_moment_)).Blob(AsBytes(second_moment_));
  return writer.Take();
}

absl::Status Optimizer::Restore(ByteView saved) {
  CanonicalReader reader(saved);
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t steps, reader.U64());
  CLOISTER_ASSIGN_OR_RETURN(const Bytes first, reader.Blob());
  CLOISTER_ASSIGN_OR_RETURN(const Bytes second, reader.Blob());
  CLOISTER_RETURN_IF_ERROR(reader.Finish());
  if (first.size() != AsBytes(first_moment_).size() || second.size() != AsBytes(second_moment_).size()) {
    return absl::DataLossError("checkpoint: the optimizer's state has another size");
  }
  steps_ = steps;
  std::memcpy(first_moment_.data(), first.data(), first.size());
  std::memcpy(second_moment_.data(), second.data(), second.size());
  return absl::OkStatus();
}

}  // namespace cloister::models
