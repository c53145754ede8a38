#pragma once
// SPDX-License-Identifier: Apache-2.0
// One step of DP-SGD in integers: which patients take part, the sum of their clipped gradients, and the noise on it.
// Everything secret comes from a key through AES-256-CTR, so that a step that is repeated after a restart repeats its
// bytes; whoever lacks the key sees nothing but noise. No LibTorch.
// Source: Abadi et al.: Deep Learning with Differential Privacy (2016), Algorithm 1, with one clipped gradient per
// patient. On a grid of clip_norm / 2^30, so that neither the order of a sum nor the holes between floating-point
// numbers (Mironov 2012) say anything about a patient.

#include <absl/types/span.h>

#include <cstdint>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/crypto/secret.h"

namespace cloister::models {

// The step of a training, in the labels of its streams. No step may be taken twice with the same key and other data.
struct PrivateStep {
  uint32_t epoch = 0;
  uint32_t step = 0;
};

// Each of `patients` patients independently with a probability of min(1, expected / patients), rounded down to 2^-64:
// their indices, in order.
std::vector<uint32_t> PoissonSample(uint64_t patients, uint64_t expected, const crypto::SecretBytes& key,
                                    PrivateStep step);

class PrivateSum {
 public:
  static constexpr int kGridBits = 30;  // a gradient of norm clip_norm has norm 2^30 on the grid
  static constexpr uint64_t kMostPatients = uint64_t{1} << 24;

  // INVALID_ARGUMENT: no parameters; a clip_norm or noise_multiplier that is not finite and positive, or a
  // noise_multiplier above 10,000, which could overflow the sum.
  static absl::StatusOr<PrivateSum> Create(size_t parameters, double clip_norm, double noise_multiplier);

  // Nothing is in the sum.
  void Clear();
  // Adds one patient's gradient, scaled down to clip_norm if it is longer, each element rounded towards zero: on the
  // grid its L2 norm is at most 2^kGridBits, exactly, whatever the gradient. One with a value that is not finite counts
  // as zero: false. `gradient`: the flat gradient in pieces, together `parameters` values; anything else, or more than
  // kMostPatients, is our own bug and ends the process.
  bool Add(absl::Span<const absl::Span<const float>> gradient);
  // Adds to each element independent Gaussian noise with a standard deviation of noise_multiplier * clip_norm, rounded
  // to the grid. Once, before anything is read. [first, first + count) at a time; `first` must be a multiple of
  // kNoiseBlock; thread-safe for ranges that do not overlap.
  static constexpr size_t kNoiseBlock = size_t{1} << 14;
  void AddNoise(const crypto::SecretBytes& key, PrivateStep step, size_t first, size_t count);
  // gradient[i] = sum[first + i] / divisor, in the gradient's own unit.
  void Read(size_t first, double divisor, absl::Span<float> gradient) const;

  // On the grid.
  absl::Span<const int64_t> values() const { return sum_; }

 private:
  PrivateSum(size_t parameters, double clip_norm, double noise_multiplier)
      : sum_(parameters), clip_norm_(clip_norm), noise_multiplier_(noise_multiplier) {}

  std::vector<int64_t> sum_;
  double clip_norm_;
  double noise_multiplier_;
  uint64_t patients_ = 0;
};

}  // namespace cloister::models
