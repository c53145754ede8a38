// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/discrete_gaussian.h"

#include <fmt/format.h>

#include <utility>

namespace cloister::privacy {
namespace {

constexpr size_t kWordsAtOnce = 512;

uint64_t FloorOfSquareRoot(uint64_t value) {
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 31; bit != 0; bit >>= 1) {
    if ((root | bit) * (root | bit) <= value) root |= bit;
  }
  return root;
}

}  // namespace

absl::StatusOr<DiscreteGaussian> DiscreteGaussian::Create(Variance variance, RandomWords random) {
  for (const uint64_t term : {variance.numerator, variance.denominator}) {
    if (term == 0 || term > kMaxTerm) {
      return absl::InvalidArgumentError(fmt::format("a variance of {} / {}; both must be 1 to {}", variance.numerator,
                                                    variance.denominator, kMaxTerm));
    }
  }
  return DiscreteGaussian(variance, std::move(random));
}

DiscreteGaussian::DiscreteGaussian(Variance variance, RandomWords random)
    : numerator_(variance.numerator),
      denominator_(variance.denominator),
      laplace_scale_(FloorOfSquareRoot(variance.numerator / variance.denominator) + 1),
      exponent_denominator_(Wide{2} * numerator_ * denominator_ * laplace_scale_ * laplace_scale_),
      random_(std::move(random)),
      words_(kWordsAtOnce),
      next_word_(kWordsAtOnce) {}

uint64_t DiscreteGaussian::NextWord() {
  if (next_word_ == words_.size()) {
    random_(absl::MakeSpan(words_));
    next_word_ = 0;
  }
  return std::exchange(words_[next_word_++], 0);
}

uint64_t DiscreteGaussian::Below(uint64_t bound) {
  // Lemire (2019): the high half of a product, unless the low half is one of the few that would favour some results.
  Wide product = Wide{NextWord()} * bound;
  if (static_cast<uint64_t>(product) < bound) {
    const uint64_t excess = (0 - bound) % bound;
    while (static_cast<uint64_t>(product) < excess) product = Wide{NextWord()} * bound;
  }
  return static_cast<uint64_t>(product >> 64);
}

DiscreteGaussian::Wide DiscreteGaussian::Below(Wide bound) {
  const uint64_t high = static_cast<uint64_t>((bound - 1) >> 64);
  if (high == 0) return bound >> 64 == 0 ? Below(static_cast<uint64_t>(bound)) : NextWord();
  const uint64_t mask = ~uint64_t{0} >> __builtin_clzll(high);
  for (;;) {
    const Wide candidate = Wide{NextWord() & mask} << 64 | NextWord();
    if (candidate < bound) return candidate;
  }
}

// Algorithm 1: the number of successes in a row, of trials that succeed with probability gamma / k, is even with
// probability exp(-gamma). k stays so small that k * denominator does not overflow: 2^20 of them is one in (2^20)!.
template <typename Integer>
bool DiscreteGaussian::ExpOfMinus(Integer numerator, Integer denominator) {
  uint64_t k = 1;
  while (Below(denominator * k) < numerator) ++k;
  return k % 2 == 1;
}

int64_t DiscreteGaussian::SampleLaplace() {
  constexpr uint64_t kMaxMultiple = 1024;
  for (;;) {
    const uint64_t remainder = Below(laplace_scale_);
    if (!ExpOfMinus(remainder, laplace_scale_)) continue;
    uint64_t multiple = 0;
    while (multiple < kMaxMultiple && ExpOfMinus<uint64_t>(1, 1)) ++multiple;
    if (multiple == kMaxMultiple) continue;
    const int64_t magnitude = static_cast<int64_t>(remainder + laplace_scale_ * multiple);
    const bool negative = (NextWord() & 1) != 0;
    // Zero has one sign only.
    if (negative && magnitude == 0) continue;
    return negative ? -magnitude : magnitude;
  }
}

int64_t DiscreteGaussian::Sample() {
  for (;;) {
    const int64_t candidate = SampleLaplace();
    // Kept with probability exp(-(|x| - sigma^2 / t)^2 / (2 sigma^2)), t being the scale: as one fraction
    // (|x| t b - a)^2 / (2 a b t^2) for sigma^2 = a / b. With |x| below 1024 t and a, b, t^2 b below 2^50 the square
    // fits in 120 bits.
    const uint64_t magnitude = static_cast<uint64_t>(candidate < 0 ? -candidate : candidate);
    const Wide scaled = Wide{magnitude} * laplace_scale_ * denominator_;
    const Wide distance = scaled > numerator_ ? scaled - numerator_ : numerator_ - scaled;
    Wide exponent = distance * distance;
    bool kept = true;
    for (; kept && exponent > exponent_denominator_; exponent -= exponent_denominator_)
      kept = ExpOfMinus<uint64_t>(1, 1);
    if (kept && ExpOfMinus(exponent, exponent_denominator_)) return candidate;
  }
}

}  // namespace cloister::privacy
