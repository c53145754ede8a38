#pragma once
// SPDX-License-Identifier: Apache-2.0
// Exact samples of the discrete Gaussian, P(x) proportional to exp(-x^2 / (2 sigma^2)) on the integers: integer
// arithmetic and random bits only, since the rounding of floating-point noise gives away what it should hide (Mironov
// 2012). How large sigma must be is distributed_gaussian.h.
// Source: Canonne, Kamath, Steinke: The Discrete Gaussian for Differential Privacy (2020), Algorithms 1 to 3.

#include <absl/types/span.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::privacy {

// Fills `words` with independent, uniform and secret bits: a cryptographic generator and nothing else.
using RandomWords = std::function<void(absl::Span<uint64_t> words)>;

// Not thread-safe, and not to be copied: a copy would draw the same noise again. How long a sample takes depends on its
// value.
class DiscreteGaussian {
 public:
  static constexpr uint64_t kMaxTerm = uint64_t{1} << 48;

  // sigma^2; it need not be in lowest terms.
  struct Variance {
    uint64_t numerator = 0;
    uint64_t denominator = 1;
  };
  // The same words give the same samples. INVALID_ARGUMENT: a numerator or denominator outside [1, kMaxTerm].
  static absl::StatusOr<DiscreteGaussian> Create(Variance variance, RandomWords random);

  DiscreteGaussian(DiscreteGaussian&&) = default;
  DiscreteGaussian& operator=(DiscreteGaussian&&) = default;

  // |x| < 1024 * (sigma + 1): what is cut off there has a probability below exp(-500000).
  int64_t Sample();

 private:
  using Wide = unsigned __int128;

  DiscreteGaussian(Variance variance, RandomWords random);

  uint64_t NextWord();
  // Uniform in [0, bound).
  uint64_t Below(uint64_t bound);
  Wide Below(Wide bound);
  // True with probability exp(-numerator / denominator); numerator <= denominator.
  template <typename Integer>
  bool ExpOfMinus(Integer numerator, Integer denominator);
  // From the two-sided geometric distribution, P(x) proportional to exp(-|x| / laplace_scale_).
  int64_t SampleLaplace();

  uint64_t numerator_;
  uint64_t denominator_;
  uint64_t laplace_scale_;  // floor(sigma) + 1
  Wide exponent_denominator_;
  RandomWords random_;
  std::vector<uint64_t> words_;  // those used are zero, so that memory does not keep the noise
  size_t next_word_;
};

}  // namespace cloister::privacy
