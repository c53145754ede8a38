// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/site_update.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "protocols/crypto/hkdf.h"
#include "protocols/crypto/seeded_stream.h"
#include "protocols/plan/quantization.h"
#include "protocols/plan/site_privacy.h"
#include "protocols/privacy/clipping.h"
#include "protocols/secagg/ring.h"

namespace cloister::site {
namespace {

constexpr size_t kChunk = size_t{1} << 16;  // elements
// Two draws of five, at the very least, keep the norm.
constexpr uint32_t kMostDraws = 200;

// The private stream of draw `draw` of the rounding.
update::RoundingWords RoundingStream(const SiteUpdate::Inputs& inputs, uint32_t draw) {
  const crypto::SecretBytes seed = crypto::Hkdf("cloister/site", *inputs.site_secret, "rounding", 32);
  const auto stream = std::make_shared<crypto::SeededStream>(
      seed, CanonicalWriter().Blob("cloister/rounding").Blob(inputs.label).U32(draw).Take());
  return [stream](uint64_t first, absl::Span<uint32_t> words) {
    stream->Seek(first * sizeof(uint32_t));
    stream->Fill(words.data(), words.size() * sizeof(uint32_t));
    return absl::OkStatus();
  };
}

privacy::NoiseShare::BlockWords NoiseStreams(const SiteUpdate::Inputs& inputs) {
  const auto seed =
      std::make_shared<crypto::SecretBytes>(crypto::Hkdf("cloister/job", *inputs.job_secret, "noise of the sum", 32));
  return [seed, label = inputs.label](uint64_t block) -> privacy::RandomWords {
    const auto stream = std::make_shared<crypto::SeededStream>(
        *seed, CanonicalWriter().Blob("cloister/noise").Blob(label).U64(block).Take());
    return [stream](absl::Span<uint64_t> words) { stream->Fill(words.data(), words.size() * sizeof(uint64_t)); };
  };
}

absl::StatusOr<update::UpdateQuantizer> Rounded(const SiteUpdate::Inputs& inputs, const update::QuantMap& map,
                                                update::Weight weight, double shrink, uint32_t draw) {
  return update::UpdateQuantizer::Create(map, weight, inputs.local, inputs.global, RoundingStream(inputs, draw),
                                         shrink);
}

// The square of the L2 norm, exact.
template <typename T>
absl::StatusOr<unsigned __int128> SquaredNorm(const update::UpdateQuantizer& quantizer, int ring_bits) {
  unsigned __int128 sum = 0;
  std::vector<T> chunk;
  const uint64_t sign = uint64_t{1} << (ring_bits - 1);
  for (uint64_t first = 0; first < quantizer.size(); first += chunk.size()) {
    chunk.resize(std::min<uint64_t>(kChunk, quantizer.size() - first));
    CLOISTER_RETURN_IF_ERROR(quantizer.Read(first, absl::MakeSpan(chunk)));
    for (const T residue : chunk) {
      const uint64_t magnitude = residue < sign ? residue : (uint64_t{0} - residue) & secagg::RingMask(ring_bits);
      sum += static_cast<unsigned __int128>(magnitude) * magnitude;
    }
  }
  return sum;
}

// The first draw whose norm is at most `most_norm`: Kairouz et al. (2021), Algorithm 1.
absl::StatusOr<update::UpdateQuantizer> RoundedWithin(const SiteUpdate::Inputs& inputs, const update::QuantMap& map,
                                                      update::Weight weight, double shrink, double most_norm) {
  const int ring_bits = static_cast<int>(map.ring_bits());
  for (uint32_t draw = 0; draw < kMostDraws; ++draw) {
    CLOISTER_ASSIGN_OR_RETURN(update::UpdateQuantizer quantizer, Rounded(inputs, map, weight, shrink, draw));
    CLOISTER_ASSIGN_OR_RETURN(const unsigned __int128 norm, ring_bits == 64
                                                                ? SquaredNorm<uint64_t>(quantizer, ring_bits)
                                                                : SquaredNorm<uint32_t>(quantizer, ring_bits));
    if (static_cast<double>(norm) <= most_norm * most_norm) return quantizer;
  }
  return absl::InternalError(
      fmt::format("{} roundings, and none keeps the norm of {:.6g} units", kMostDraws, most_norm));
}

}  // namespace

absl::StatusOr<SiteUpdate> SiteUpdate::Create(const Inputs& inputs) {
  const plan::Experiment& plan = *inputs.plan;
  const bool noisy = plan::HasSiteUnit(plan);
  update::Weight weight;
  if (!noisy) {
    const absl::StatusOr<update::Weight> weighed = update::Weight::FromSamples(inputs.samples, plan.privacy.weight_cap);
    if (!weighed.ok()) return absl::FailedPreconditionError(weighed.status().message());
    weight = *weighed;
  }
  CLOISTER_ASSIGN_OR_RETURN(const update::QuantMap map, plan::QuantizerOf(plan, *inputs.layout));
  const double clip_norm = noisy ? plan.privacy.differential_privacy->clip_norm : plan.privacy.clip_norm;
  double shrink = 1;
  if (clip_norm > 0) {
    CLOISTER_ASSIGN_OR_RETURN(const double norm, privacy::UpdateNorm(inputs.local, inputs.global));
    CLOISTER_ASSIGN_OR_RETURN(shrink, privacy::ClipFactor(norm, clip_norm));
  }
  if (!noisy) {
    CLOISTER_ASSIGN_OR_RETURN(update::UpdateQuantizer quantizer, Rounded(inputs, map, weight, shrink, 0));
    return SiteUpdate(std::move(quantizer), weight, plan.privacy.ring_bits);
  }
  CLOISTER_ASSIGN_OR_RETURN(const plan::SiteNoise noise, plan::SiteNoiseOf(plan));
  CLOISTER_ASSIGN_OR_RETURN(update::UpdateQuantizer quantizer,
                            RoundedWithin(inputs, map, weight, shrink, noise.most_norm));
  SiteUpdate update(std::move(quantizer), weight, plan.privacy.ring_bits);
  CLOISTER_ASSIGN_OR_RETURN(update.noise_, privacy::NoiseShare::Create({noise.variance, 1}, NoiseStreams(inputs)));
  return update;
}

absl::Status SiteUpdate::Read(uint64_t first, absl::Span<uint32_t> residues) const {
  CLOISTER_RETURN_IF_ERROR(quantizer_.Read(first, residues));
  if (!noise_.has_value()) return absl::OkStatus();
  noise_->AddTo(first, residues);
  secagg::Reduce(ring_bits_, residues);
  return absl::OkStatus();
}

absl::Status SiteUpdate::Read(uint64_t first, absl::Span<uint64_t> residues) const {
  CLOISTER_RETURN_IF_ERROR(quantizer_.Read(first, residues));
  if (noise_.has_value()) noise_->AddTo(first, residues);
  return absl::OkStatus();
}

}  // namespace cloister::site
