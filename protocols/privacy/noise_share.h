#pragma once
// SPDX-License-Identifier: Apache-2.0
// One site's share of the noise of a secure sum, drawn on demand: any range of elements, in any order and any chunks,
// gives the same samples, so that a resumed site adds the same noise. How large it must be is distributed_gaussian.h.

#include <absl/types/span.h>

#include <cstdint>
#include <functional>

#include "protocols/privacy/discrete_gaussian.h"

namespace cloister::privacy {

// Thread-compatible if `words` is.
class NoiseShare {
 public:
  static constexpr uint64_t kBlock = 1024;  // elements that are drawn from one generator

  // A generator for block `block`, from its start: secret, independent of every other block's, and the same whenever it
  // is asked for.
  using BlockWords = std::function<RandomWords(uint64_t block)>;

  // INVALID_ARGUMENT as DiscreteGaussian::Create.
  static absl::StatusOr<NoiseShare> Create(DiscreteGaussian::Variance variance, BlockWords words);

  // values[i] gains sample first + i, modulo 2^32 or 2^64.
  void AddTo(uint64_t first, absl::Span<uint32_t> values) const;
  void AddTo(uint64_t first, absl::Span<uint64_t> values) const;

 private:
  NoiseShare(DiscreteGaussian::Variance variance, BlockWords words) : variance_(variance), words_(std::move(words)) {}
  template <typename T>
  void AddSamples(uint64_t first, absl::Span<T> values) const;

  DiscreteGaussian::Variance variance_;
  BlockWords words_;
};

}  // namespace cloister::privacy
