#pragma once
// SPDX-License-Identifier: Apache-2.0
// Weight changes as integers that secure aggregation can add: delta = local - global, clipped, weighted, scaled,
// stochastically rounded, in two's complement mod 2^w. Which keys mask them is protocols/secagg's business.
// Source: secure aggregation design, section 6.

#include <absl/types/span.h>

#include <cstdint>
#include <functional>

#include "protocols/base/status.h"
#include "protocols/update/quant_plan.h"
#include "protocols/update/weight.h"

namespace cloister::update {

// Fills `words` with words [first, first + words.size()) of the site's private stream of uniform 32-bit words. The same
// range must give the same words again: a resumed site repeats its rounding. The stream must never be used for another
// (job, round, attempt).
using RoundingWords = std::function<absl::Status(uint64_t first, absl::Span<uint32_t> words)>;

// One site's update of one round, quantized on demand: any range, in any order and any chunk size, gives the same
// residues. Holds no copy of the vectors. Thread-compatible if `words` is.
class UpdateQuantizer {
 public:
  // delta = shrink * (local - global), where `shrink` in (0, 1] is privacy::ClipFactor's answer (1: no L2 clipping).
  // `local` and `global` are [D] and must outlive this. INVALID_ARGUMENT: different sizes, or a shrink out of range;
  // also as QuantPlan::Check.
  static absl::StatusOr<UpdateQuantizer> Create(QuantMap map, Weight weight, absl::Span<const float> local,
                                                absl::Span<const float> global, RoundingWords words, double shrink = 1);

  uint64_t size() const { return local_.size(); }

  // Residues [first, first + residues.size()), each < 2^ring_bits: 32 bits hold those of 16, 24 and 32, 64 those of 64.
  // |residue - exact value| < 1, unbiased to 2^-21 (in a ring of 64 bits to 2^-32, and the exact value is a double).
  // INVALID_ARGUMENT: a non-finite weight (the index is named, never the value), a range past the end, or the type of
  // other rings.
  absl::Status Read(uint64_t first, absl::Span<uint32_t> residues) const;
  absl::Status Read(uint64_t first, absl::Span<uint64_t> residues) const;

 private:
  UpdateQuantizer(QuantMap map, Weight weight, absl::Span<const float> local, absl::Span<const float> global,
                  RoundingWords words, double shrink);
  template <typename T>
  absl::Status ReadElements(uint64_t first, absl::Span<T> residues) const;

  QuantMap map_;
  double shrink_;
  double omega_;
  absl::Span<const float> local_;
  absl::Span<const float> global_;
  RoundingWords words_;
};

// mean = sum / (scale * sum_of_omega), computed in double and rounded once to float32: the same bytes on every machine.
// `sum` and `mean` are elements [first, first + mean.size()) of the update; the sum is signed. INVALID_ARGUMENT:
// different sizes, a sum that is not in the ring, or a sum_of_omega that is not finite and positive or exceeds the
// plan's sites.
absl::Status DequantizeMean(const QuantMap& map, uint64_t first, absl::Span<const int64_t> sum, double sum_of_omega,
                            absl::Span<float> mean);

}  // namespace cloister::update
