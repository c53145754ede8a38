#pragma once
// SPDX-License-Identifier: Apache-2.0
// Weight changes as integers that secure aggregation can add: delta = local - global, clipped, weighted, scaled,
// stochastically rounded, in two's complement mod 2^w. Which keys mask them is protocols/secagg's business.
// Source: secure aggregation design, section 6.

#include <absl/types/span.h>

#include <cstdint>
#include <functional>

#include "protocols/base/status.h"
#include "protocols/update/weight.h"

namespace cloister::update {

// What all sites of a round agree on. The sum of `sites` vectors cannot leave the ring:
//   sites * ceil(scale * clip) + slack < 2^(ring_bits - 1).
struct QuantPlan {
  uint32_t ring_bits = 32;  // 16, 24 or 32
  double clip = 0;          // C: every element of delta is clipped to [-C, C]
  double scale = 0;         // s: a power of two, so scaling is exact
  uint32_t sites = 0;       // the most that are ever added
  uint64_t slack = 0;       // room for noise: 8 sigma of the summed noise, in ring units

  // The largest scale that keeps the rule. INVALID_ARGUMENT: a clip outside [1e-30, 1e30], no site, another ring width;
  // FAILED_PRECONDITION: not even scale * clip >= 1 fits ("40000 sites need more than 16 bits").
  static absl::StatusOr<QuantPlan> Choose(uint32_t sites, double clip, uint32_t ring_bits = 32, uint64_t slack = 0);

  // INVALID_ARGUMENT: a field is out of range; FAILED_PRECONDITION: the rule is broken. For plans that came by wire.
  absl::Status Check() const;
};

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
  static absl::StatusOr<UpdateQuantizer> Create(const QuantPlan& plan, Weight weight, absl::Span<const float> local,
                                                absl::Span<const float> global, RoundingWords words, double shrink = 1);

  uint64_t size() const { return local_.size(); }

  // Residues [first, first + residues.size()), each < 2^ring_bits. |residue - exact value| < 1, unbiased to 2^-21.
  // INVALID_ARGUMENT: a non-finite weight (the index is named, never the value), or a range past the end.
  absl::Status Read(uint64_t first, absl::Span<uint32_t> residues) const;

 private:
  UpdateQuantizer(const QuantPlan& plan, Weight weight, absl::Span<const float> local, absl::Span<const float> global,
                  RoundingWords words, double shrink);

  QuantPlan plan_;
  double shrink_;
  double factor_;  // omega * scale * 2^20
  absl::Span<const float> local_;
  absl::Span<const float> global_;
  RoundingWords words_;
};

// mean = signed(sum) / (scale * sum_of_omega), computed in double and rounded once to float32: the same bytes on every
// machine. `sum` (residues mod 2^ring_bits) and `mean` are [D] or the same range of it. INVALID_ARGUMENT: different
// sizes, a residue >= 2^ring_bits, or a sum_of_omega that is not finite and positive or exceeds plan.sites.
absl::Status DequantizeMean(const QuantPlan& plan, absl::Span<const uint32_t> sum, double sum_of_omega,
                            absl::Span<float> mean);

}  // namespace cloister::update
