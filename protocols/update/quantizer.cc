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

uint32_t NarrowMask(uint32_t ring_bits) {
  return static_cast<uint32_t>((uint64_t{1} << ring_bits) - 1);
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
  double factor;  // omega * scale
  uint32_t ring_bits;
};

// residue = floor(x + u), where x = factor * clip(shrink * (local - global)) and u is uniform on [0, 1) in steps of
// 2^-20. Adding 1.5 * 2^52 leaves x in fixed point in the low bits of the mantissa; bit 51 is the constant's own.
CLOISTER_CLONES
void RoundBlock(const Rounding& rounding, const float* local, const float* global, const uint32_t* words,
                uint32_t* residues, size_t size) {
  constexpr double kMagic = 0x1.8p52;
  const Rounding r = rounding;
  const double factor = r.factor * kFractionUnit;
  const uint32_t mask = NarrowMask(r.ring_bits);
  for (size_t i = 0; i < size; ++i) {
    double delta = r.shrink * (static_cast<double>(local[i]) - static_cast<double>(global[i]));
    delta = delta < -r.clip ? -r.clip : delta;
    delta = delta > r.clip ? r.clip : delta;
    const double shifted = factor * delta + kMagic;
    uint64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits += words[i] >> (32 - kFractionBits);
    residues[i] = (static_cast<uint32_t>(bits >> kFractionBits) ^ 0x80000000u) & mask;
  }
}

// The same where x has more bits than the trick has room for: up when the fraction, exact in a double, exceeds u, which
// lies in the middle of one of 2^32 intervals.
CLOISTER_CLONES
void RoundBlock(const Rounding& rounding, const float* local, const float* global, const uint32_t* words,
                uint64_t* residues, size_t size) {
  const Rounding r = rounding;
  for (size_t i = 0; i < size; ++i) {
    double delta = r.shrink * (static_cast<double>(local[i]) - static_cast<double>(global[i]));
    delta = delta < -r.clip ? -r.clip : delta;
    delta = delta > r.clip ? r.clip : delta;
    const double x = r.factor * delta;
    const double below = std::floor(x);
    const double u = (static_cast<double>(words[i]) + 0.5) * 0x1p-32;
    residues[i] = static_cast<uint64_t>(static_cast<int64_t>(below) + (u < x - below ? 1 : 0));
  }
}

CLOISTER_CLONES
void DivideBlock(const int64_t* sum, double divisor, float* mean, size_t size) {
  for (size_t i = 0; i < size; ++i) mean[i] = static_cast<float>(static_cast<double>(sum[i]) / divisor);
}

// Is one of them outside [-limit, limit)?
CLOISTER_CLONES
bool LeavesRing(const int64_t* sum, size_t size, uint64_t limit) {
  uint64_t outside = 0;
  for (size_t i = 0; i < size; ++i)
    outside |= static_cast<uint64_t>(static_cast<uint64_t>(sum[i]) + limit >= 2 * limit);
  return outside != 0;
}

}  // namespace

UpdateQuantizer::UpdateQuantizer(QuantMap map, Weight weight, absl::Span<const float> local,
                                 absl::Span<const float> global, RoundingWords words, double shrink)
    : map_(std::move(map)),
      shrink_(shrink),
      omega_(weight.omega()),
      local_(local),
      global_(global),
      words_(std::move(words)) {}

absl::StatusOr<UpdateQuantizer> UpdateQuantizer::Create(QuantMap map, Weight weight, absl::Span<const float> local,
                                                        absl::Span<const float> global, RoundingWords words,
                                                        double shrink) {
  CLOISTER_RETURN_IF_ERROR(map.Check());
  if (local.size() != global.size()) {
    return absl::InvalidArgumentError(
        fmt::format("the local model has {} parameters, the global one {}", local.size(), global.size()));
  }
  if (map.segments().back().end < local.size()) {
    return absl::InvalidArgumentError(
        fmt::format("clips for {} parameters of {}", map.segments().back().end, local.size()));
  }
  if (!(shrink > 0 && shrink <= 1)) return absl::InvalidArgumentError("the clip factor is not in (0, 1]");
  return UpdateQuantizer(std::move(map), weight, local, global, std::move(words), shrink);
}

absl::Status UpdateQuantizer::Read(uint64_t first, absl::Span<uint32_t> residues) const {
  return ReadElements(first, residues);
}

absl::Status UpdateQuantizer::Read(uint64_t first, absl::Span<uint64_t> residues) const {
  return ReadElements(first, residues);
}

template <typename T>
absl::Status UpdateQuantizer::ReadElements(uint64_t first, absl::Span<T> residues) const {
  if (first > size() || residues.size() > size() - first) {
    return absl::InvalidArgumentError(
        fmt::format("elements [{}, +{}) of an update of {}", first, residues.size(), size()));
  }
  if ((map_.ring_bits() == 64) != (sizeof(T) == 8)) {
    return absl::InvalidArgumentError(
        fmt::format("{} bits do not hold an element of {}", 8 * sizeof(T), map_.ring_bits()));
  }
  uint32_t words[kBlock];
  while (!residues.empty()) {
    const QuantMap::Segment& segment = map_.At(first);
    const size_t size = static_cast<size_t>(std::min<uint64_t>({kBlock, residues.size(), segment.end - first}));
    const float* local = local_.data() + first;
    const float* global = global_.data() + first;
    if (!AllFinite(local, global, size)) {
      size_t i = 0;
      while (std::isfinite(local[i]) && std::isfinite(global[i])) ++i;
      return absl::InvalidArgumentError(fmt::format("parameter {} of the {} model is not finite", first + i,
                                                    std::isfinite(local[i]) ? "global" : "local"));
    }
    CLOISTER_RETURN_IF_ERROR(words_(first, absl::MakeSpan(words, size)));
    const QuantPlan& plan = segment.plan;
    RoundBlock({shrink_, plan.clip, omega_ * plan.scale, plan.ring_bits}, local, global, words, residues.data(), size);
    residues.remove_prefix(size);
    first += size;
  }
  return absl::OkStatus();
}

absl::Status DequantizeMean(const QuantMap& map, uint64_t first, absl::Span<const int64_t> sum, double sum_of_omega,
                            absl::Span<float> mean) {
  CLOISTER_RETURN_IF_ERROR(map.Check());
  if (sum.size() != mean.size() || first > map.segments().back().end ||
      sum.size() > map.segments().back().end - first) {
    return absl::InvalidArgumentError(
        fmt::format("{} sums from element {} on for {} means", sum.size(), first, mean.size()));
  }
  if (!(sum_of_omega > 0 && sum_of_omega <= map.sites())) {
    return absl::InvalidArgumentError(
        fmt::format("the weights sum to {}; with {} sites that is impossible", sum_of_omega, map.sites()));
  }
  if (map.ring_bits() < 64 && LeavesRing(sum.data(), sum.size(), uint64_t{1} << (map.ring_bits() - 1))) {
    return absl::InvalidArgumentError(fmt::format("a sum does not fit a ring of {} bits", map.ring_bits()));
  }
  while (!sum.empty()) {
    const QuantMap::Segment& segment = map.At(first);
    const size_t size = static_cast<size_t>(std::min<uint64_t>(sum.size(), segment.end - first));
    DivideBlock(sum.data(), segment.plan.scale * sum_of_omega, mean.data(), size);
    sum.remove_prefix(size);
    mean.remove_prefix(size);
    first += size;
  }
  return absl::OkStatus();
}

}  // namespace cloister::update
