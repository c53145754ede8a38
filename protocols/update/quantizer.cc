// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

// One loop compiled for several processors, the best one picked at start. Products and sums are never fused
// (-ffp-contract=off in CMakeLists.txt), so all of them give the same bits. Sanitizers cannot run before the pick.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLOISTER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLOISTER_CLONES
#endif

namespace cloister::update {
namespace {

// Fixed point: the integer part of an element and this many bits below it. 31 + 20 bits are what the mantissa trick in
// RoundBlock can hold.
constexpr int kFractionBits = 20;
constexpr double kFractionUnit = 1 << kFractionBits;
constexpr size_t kBlock = 2048;  // elements whose random words stay in the first-level cache

constexpr double kMinClip = 1e-30;
constexpr double kMaxClip = 1e30;

uint64_t HalfRing(uint32_t ring_bits) {
  return uint64_t{1} << (ring_bits - 1);
}
uint32_t RingMask(uint32_t ring_bits) {
  return static_cast<uint32_t>((uint64_t{1} << ring_bits) - 1);
}

// sites * ceil(scale * clip) + slack < 2^(ring_bits - 1)?
bool Fits(const QuantPlan& plan) {
  const uint64_t half = HalfRing(plan.ring_bits);
  const double largest = std::ceil(plan.scale * plan.clip);
  if (!(largest < static_cast<double>(half)) || plan.slack >= half) return false;
  return plan.sites * static_cast<uint64_t>(largest) + plan.slack < half;
}

absl::Status CheckFields(const QuantPlan& plan) {
  if (plan.ring_bits != 16 && plan.ring_bits != 24 && plan.ring_bits != 32) {
    return absl::InvalidArgumentError(fmt::format("a ring of {} bits; allowed are 16, 24 and 32", plan.ring_bits));
  }
  if (!(plan.clip >= kMinClip && plan.clip <= kMaxClip)) {
    return absl::InvalidArgumentError(fmt::format("clip {}; it must be in [1e-30, 1e30]", plan.clip));
  }
  if (plan.sites == 0) return absl::InvalidArgumentError("a plan for no sites");
  return absl::OkStatus();
}

uint32_t Bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

CLOISTER_CLONES
bool AllFinite(const float* a, const float* b, size_t size) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t bad = 0;
  for (size_t i = 0; i < size; ++i) {
    bad |= static_cast<uint32_t>((Bits(a[i]) & kExponent) == kExponent);
    bad |= static_cast<uint32_t>((Bits(b[i]) & kExponent) == kExponent);
  }
  return bad == 0;
}

struct Rounding {
  double shrink;
  double clip;
  double factor;  // omega * scale * 2^20
  uint32_t mask;
};

// residue = floor(x + u), where x = factor * clip(shrink * (local - global)) / 2^20 and u is uniform on [0, 1) in steps
// of 2^-20. Adding 1.5 * 2^52 leaves x in fixed point in the low bits of the mantissa; bit 51 is the constant's own.
CLOISTER_CLONES
void RoundBlock(const Rounding& rounding, const float* local, const float* global, const uint32_t* words,
                uint32_t* residues, size_t size) {
  constexpr double kMagic = 0x1.8p52;
  const Rounding r = rounding;
  for (size_t i = 0; i < size; ++i) {
    double delta = r.shrink * (static_cast<double>(local[i]) - static_cast<double>(global[i]));
    delta = delta < -r.clip ? -r.clip : delta;
    delta = delta > r.clip ? r.clip : delta;
    const double shifted = r.factor * delta + kMagic;
    uint64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits += words[i] >> (32 - kFractionBits);
    residues[i] = (static_cast<uint32_t>(bits >> kFractionBits) ^ 0x80000000u) & r.mask;
  }
}

CLOISTER_CLONES
void DivideBlock(const uint32_t* sum, double divisor, int shift, float* mean, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    const int32_t value = static_cast<int32_t>(sum[i] << shift) >> shift;  // sign extension from ring_bits
    mean[i] = static_cast<float>(static_cast<double>(value) / divisor);
  }
}

}  // namespace

absl::StatusOr<QuantPlan> QuantPlan::Choose(uint32_t sites, double clip, uint32_t ring_bits, uint64_t slack) {
  QuantPlan plan;
  plan.ring_bits = ring_bits;
  plan.clip = clip;
  plan.sites = sites;
  plan.slack = slack;
  CLOISTER_RETURN_IF_ERROR(CheckFields(plan));
  // scale * clip < 2^31 and clip >= 1e-30 bound the exponent from above.
  for (int exponent = 131; exponent >= -131; --exponent) {
    plan.scale = std::ldexp(1.0, exponent);
    if (plan.scale * clip < 1) break;
    if (Fits(plan)) return plan;
  }
  return absl::FailedPreconditionError(
      fmt::format("{} sites and a slack of {} need a ring of more than {} bits", sites, slack, ring_bits));
}

absl::Status QuantPlan::Check() const {
  CLOISTER_RETURN_IF_ERROR(CheckFields(*this));
  int exponent = 0;
  if (!std::isfinite(scale) || scale <= 0 || std::frexp(scale, &exponent) != 0.5) {
    return absl::InvalidArgumentError(fmt::format("scale {} is not a power of two", scale));
  }
  if (Fits(*this)) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "the sum of {} sites at scale {} and clip {} can leave a ring of {} bits", sites, scale, clip, ring_bits));
}

UpdateQuantizer::UpdateQuantizer(const QuantPlan& plan, Weight weight, absl::Span<const float> local,
                                 absl::Span<const float> global, RoundingWords words, double shrink)
    : plan_(plan),
      shrink_(shrink),
      factor_(weight.omega() * plan.scale * kFractionUnit),
      local_(local),
      global_(global),
      words_(std::move(words)) {}

absl::StatusOr<UpdateQuantizer> UpdateQuantizer::Create(const QuantPlan& plan, Weight weight,
                                                        absl::Span<const float> local, absl::Span<const float> global,
                                                        RoundingWords words, double shrink) {
  CLOISTER_RETURN_IF_ERROR(plan.Check());
  if (local.size() != global.size()) {
    return absl::InvalidArgumentError(
        fmt::format("the local model has {} parameters, the global one {}", local.size(), global.size()));
  }
  if (!(shrink > 0 && shrink <= 1)) return absl::InvalidArgumentError("the clip factor is not in (0, 1]");
  return UpdateQuantizer(plan, weight, local, global, std::move(words), shrink);
}

absl::Status UpdateQuantizer::Read(uint64_t first, absl::Span<uint32_t> residues) const {
  if (first > size() || residues.size() > size() - first) {
    return absl::InvalidArgumentError(
        fmt::format("elements [{}, +{}) of an update of {}", first, residues.size(), size()));
  }
  const Rounding rounding{shrink_, plan_.clip, factor_, RingMask(plan_.ring_bits)};
  uint32_t words[kBlock];
  while (!residues.empty()) {
    const size_t size = std::min(kBlock, residues.size());
    const float* local = local_.data() + first;
    const float* global = global_.data() + first;
    if (!AllFinite(local, global, size)) {
      size_t i = 0;
      while (std::isfinite(local[i]) && std::isfinite(global[i])) ++i;
      return absl::InvalidArgumentError(fmt::format("parameter {} of the {} model is not finite", first + i,
                                                    std::isfinite(local[i]) ? "global" : "local"));
    }
    CLOISTER_RETURN_IF_ERROR(words_(first, absl::MakeSpan(words, size)));
    RoundBlock(rounding, local, global, words, residues.data(), size);
    residues.remove_prefix(size);
    first += size;
  }
  return absl::OkStatus();
}

absl::Status DequantizeMean(const QuantPlan& plan, absl::Span<const uint32_t> sum, double sum_of_omega,
                            absl::Span<float> mean) {
  CLOISTER_RETURN_IF_ERROR(plan.Check());
  if (sum.size() != mean.size()) {
    return absl::InvalidArgumentError(fmt::format("{} residues for {} means", sum.size(), mean.size()));
  }
  if (!(sum_of_omega > 0 && sum_of_omega <= plan.sites)) {
    return absl::InvalidArgumentError(
        fmt::format("the weights sum to {}; with {} sites that is impossible", sum_of_omega, plan.sites));
  }
  const uint32_t mask = RingMask(plan.ring_bits);
  uint32_t outside = 0;
  for (const uint32_t residue : sum) outside |= residue & ~mask;
  if (outside != 0) {
    return absl::InvalidArgumentError(fmt::format("a residue does not fit a ring of {} bits", plan.ring_bits));
  }
  DivideBlock(sum.data(), plan.scale * sum_of_omega, static_cast<int>(32 - plan.ring_bits), mean.data(), sum.size());
  return absl::OkStatus();
}

}  // namespace cloister::update
