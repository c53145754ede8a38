// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/site_privacy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "protocols/privacy/distributed_gaussian.h"
#include "protocols/privacy/sampled_gaussian.h"
#include "protocols/secagg/params.h"

namespace cloister::plan {
namespace {

// A finer grid than this adds nothing to the noise but bits to draw.
constexpr double kFinestLocalSigma = 0x1p20;
constexpr double kRoomForNoise = 8;  // standard deviations: beyond lies one element in 10^15

// The site draws its rounding again until the norm is at most the one that holds with this probability: docs name it
// the conditional rounding of Kairouz et al. (2021).
const double kRoundingBeta = std::exp(-0.5);

// The plan with this scale; its slack is what the noise of all sites may take.
SiteNoise AtScale(const Experiment& experiment, double scale, uint64_t shares) {
  const DifferentialPrivacy& privacy = *experiment.privacy.differential_privacy;
  const double sigma = privacy.noise_multiplier * privacy.clip_norm * scale;
  SiteNoise noise;
  noise.shares = shares;
  noise.variance = static_cast<uint64_t>(std::ceil(std::min(sigma * sigma / static_cast<double>(shares), 0x1p62)));
  noise.quantizer.ring_bits = static_cast<uint32_t>(experiment.privacy.ring_bits);
  noise.quantizer.clip = std::min(experiment.privacy.clip, privacy.clip_norm);
  noise.quantizer.scale = scale;
  noise.quantizer.sites = static_cast<uint32_t>(experiment.sites.maximum);
  noise.quantizer.slack =
      static_cast<uint64_t>(std::ceil(kRoomForNoise * std::sqrt(experiment.sites.maximum) * noise.local_sigma()));
  return noise;
}

}  // namespace

double SiteNoise::local_sigma() const {
  return std::sqrt(static_cast<double>(variance));
}

absl::StatusOr<SiteNoise> SiteNoiseOf(const Experiment& experiment) {
  if (!HasSiteUnit(experiment)) return absl::InvalidArgumentError("the plan has no differential privacy of sites");
  const DifferentialPrivacy& privacy = *experiment.privacy.differential_privacy;
  const int minimum = experiment.sites.minimum;
  CLOISTER_ASSIGN_OR_RETURN(
      const uint64_t shares,
      privacy::HonestShares(static_cast<uint64_t>(secagg::Threshold(minimum)), static_cast<uint64_t>(minimum),
                            static_cast<uint64_t>(experiment.privacy.colluders)));
  SiteNoise noise;
  bool fits = false;
  for (int exponent = 60; exponent >= -60 && !fits; --exponent) {
    noise = AtScale(experiment, std::ldexp(1.0, exponent), shares);
    fits = noise.local_sigma() <= kFinestLocalSigma && noise.quantizer.Check().ok();
  }
  if (!fits || noise.local_sigma() < privacy::kMinLocalSigma) {
    return absl::FailedPreconditionError(fmt::format(
        "differential privacy: {} updates of clip_norm {:g} and their noise leave a share of noise {:.3g} units of a "
        "ring of {} bits; it must have {}: choose a wider ring or a smaller sites.maximum",
        experiment.sites.maximum, privacy.clip_norm, fits ? noise.local_sigma() : 0.0, experiment.privacy.ring_bits,
        privacy::kMinLocalSigma));
  }
  CLOISTER_ASSIGN_OR_RETURN(noise.most_norm, privacy::RoundedL2Norm(noise.quantizer.scale * privacy.clip_norm,
                                                                    experiment.model.parameters, kRoundingBeta));
  return noise;
}

absl::StatusOr<double> SiteEpsilon(const Experiment& experiment, uint64_t rounds) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteNoise noise, SiteNoiseOf(experiment));
  privacy::DistributedGaussian mechanism;
  mechanism.l2_sensitivity = noise.most_norm;
  mechanism.dimension = experiment.model.parameters;
  mechanism.local_sigma = noise.local_sigma();
  mechanism.shares = noise.shares;
  mechanism.steps = rounds;
  return privacy::DistributedGaussianEpsilon(mechanism, experiment.privacy.differential_privacy->delta);
}

absl::Status CheckSiteEpsilon(const Experiment& experiment) {
  if (!HasSiteUnit(experiment)) return absl::OkStatus();
  const auto rounds = static_cast<uint64_t>(experiment.algorithm.rounds);
  CLOISTER_ASSIGN_OR_RETURN(const double epsilon, SiteEpsilon(experiment, rounds));
  const DifferentialPrivacy& privacy = *experiment.privacy.differential_privacy;
  if (epsilon <= privacy.max_epsilon) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "differential privacy: {} rounds with noise_multiplier {:g} cost a site epsilon {:.2f} at delta {:g}; "
      "max_epsilon is {:g}: choose fewer rounds or a larger noise_multiplier",
      rounds, privacy.noise_multiplier, epsilon, privacy.delta, privacy.max_epsilon));
}

}  // namespace cloister::plan
