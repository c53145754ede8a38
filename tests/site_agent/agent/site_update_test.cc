// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/site_update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "protocols/crypto/hash.h"
#include "protocols/plan/quantization.h"
#include "protocols/plan/site_privacy.h"
#include "protocols/privacy/clipping.h"
#include "protocols/secagg/ring.h"

namespace cloister::site {
namespace {

constexpr uint64_t kD = 3000;

crypto::SecretBytes Secret(const std::string& name) {
  return crypto::SecretBytes::CopyOf(crypto::Sha256(name).view());
}

// Two models and a plan over them.
struct Round {
  explicit Round(uint64_t parameters = kD, int ring_bits = 32) : local(parameters), global(parameters) {
    layout = update::Layout::Create({{"w", {parameters}}}).value();
    std::mt19937 random(5);
    std::normal_distribution<float> normal(0, 0.05F);
    for (float& value : local) value = normal(random);
    for (float& value : global) value = normal(random);
    plan.model.parameters = parameters;
    plan.sites.minimum = 5;
    plan.sites.maximum = 8;
    plan.privacy.colluders = 1;
    plan.privacy.ring_bits = ring_bits;
    plan.privacy.clip = 0.5;
    plan.privacy.weight_cap = 1000;
  }
  void WithNoise(double multiplier, double clip_norm = 1) {
    plan.privacy.differential_privacy = plan::DifferentialPrivacy{plan::kSiteUnit, multiplier, clip_norm, 1e-5, 100};
  }
  SiteUpdate::Inputs Inputs(const crypto::SecretBytes& secret, const Bytes& label = "round 1") const {
    return {&plan, &layout, local, global, 250, &secret, &secret, label};
  }
  std::vector<int64_t> Units(const crypto::SecretBytes& secret, const Bytes& label = "round 1") const {
    return Units(Inputs(secret, label));
  }
  std::vector<int64_t> Units(const SiteUpdate::Inputs& inputs) const {
    const auto update = SiteUpdate::Create(inputs);
    EXPECT_TRUE(update.ok()) << update.status();
    std::vector<int64_t> units(local.size());
    const auto sign = int64_t{1} << (plan.privacy.ring_bits - 1);
    if (plan.privacy.ring_bits == 64) {
      std::vector<uint64_t> residues(local.size());
      EXPECT_TRUE(update->Read(0, absl::MakeSpan(residues)).ok());
      std::copy(residues.begin(), residues.end(), units.begin());
    } else {
      std::vector<uint32_t> residues(local.size());
      EXPECT_TRUE(update->Read(0, absl::MakeSpan(residues)).ok());
      for (size_t i = 0; i < units.size(); ++i) {
        EXPECT_LE(residues[i], secagg::RingMask(plan.privacy.ring_bits));
        units[i] = residues[i] < sign ? residues[i] : residues[i] - 2 * sign;
      }
    }
    return units;
  }

  update::Layout layout;
  std::vector<float> local;
  std::vector<float> global;
  plan::Experiment plan;
};

double NormOf(const std::vector<int64_t>& units) {
  double sum = 0;
  for (const int64_t unit : units) sum += static_cast<double>(unit) * static_cast<double>(unit);
  return std::sqrt(sum);
}

TEST(SiteUpdateTest, WithoutPrivacyIsTheWeightedChangeToAStep) {
  for (const int bits : {16, 24, 32, 64}) {
    const Round round(kD, bits);
    const std::vector<int64_t> units = round.Units(Secret("a"));
    const double scale = plan::QuantizerOf(round.plan, round.layout)->segments()[0].plan.scale;
    for (size_t i = 0; i < units.size(); ++i) {
      const double exact = 0.25 * scale * (double{round.local[i]} - double{round.global[i]});
      ASSERT_LT(std::abs(static_cast<double>(units[i]) - exact), 1.001) << bits << " " << i;
    }
    EXPECT_EQ(SiteUpdate::Create(round.Inputs(Secret("a")))->weight().omega(), 0.25);
  }
}

TEST(SiteUpdateTest, IsTheSameAfterARestartInAnyChunksAndAnotherForEverythingElse) {
  for (const int bits : {24, 32, 64}) {
    for (const bool noisy : {false, true}) {
      Round round(kD, bits);
      if (noisy) round.WithNoise(2);
      const std::vector<int64_t> units = round.Units(Secret("a"));
      EXPECT_EQ(round.Units(Secret("a")), units);
      // Without noise a grid as fine as a double has nothing to round.
      EXPECT_EQ(round.Units(Secret("b")) != units, noisy || bits < 64);
      EXPECT_EQ(round.Units(Secret("a"), "round 2") != units, noisy || bits < 64);
      if (bits == 64) continue;
      const crypto::SecretBytes secret = Secret("a");
      const SiteUpdate update = SiteUpdate::Create(round.Inputs(secret)).value();
      std::vector<uint32_t> pieces(kD);
      for (const auto& [first, size] : std::vector<std::pair<size_t, size_t>>{{2000, 1000}, {0, 7}, {7, 1993}}) {
        ASSERT_TRUE(update.Read(first, absl::MakeSpan(pieces).subspan(first, size)).ok());
      }
      for (size_t i = 0; i < kD; ++i) {
        ASSERT_EQ(pieces[i], static_cast<uint32_t>(units[i]) & static_cast<uint32_t>(secagg::RingMask(bits)));
      }
    }
  }
}

TEST(SiteUpdateTest, AnotherJobRoundsAlikeAndDrawsOtherNoise) {
  Round round(1000, 32);
  const crypto::SecretBytes site = Secret("site");
  const crypto::SecretBytes first = Secret("job 1");
  const crypto::SecretBytes second = Secret("job 2");
  const auto of_job = [&](const crypto::SecretBytes& job) {
    SiteUpdate::Inputs inputs = round.Inputs(site);
    inputs.job_secret = &job;
    return round.Units(inputs);
  };
  EXPECT_EQ(of_job(first), of_job(second)) << "a plan that is run again gives the same model";
  round.WithNoise(2);
  EXPECT_NE(of_job(first), of_job(second)) << "the difference of two sums would have no noise";
}

TEST(SiteUpdateTest, NothingUnusableIsAdded) {
  Round round;
  const crypto::SecretBytes secret = Secret("a");
  SiteUpdate::Inputs inputs = round.Inputs(secret);
  inputs.samples = 0;
  EXPECT_EQ(SiteUpdate::Create(inputs).status().code(), absl::StatusCode::kFailedPrecondition);
  round.plan.privacy.tensor_clips = {{"none", 1}};
  EXPECT_EQ(SiteUpdate::Create(round.Inputs(secret)).status().code(), absl::StatusCode::kFailedPrecondition);
  round.plan.privacy.tensor_clips.clear();
  round.local[17] = std::numeric_limits<float>::quiet_NaN();
  std::vector<uint32_t> residues(kD);
  EXPECT_EQ(SiteUpdate::Create(round.Inputs(secret))->Read(0, absl::MakeSpan(residues)).code(),
            absl::StatusCode::kInvalidArgument);
  round.WithNoise(1);
  EXPECT_EQ(SiteUpdate::Create(round.Inputs(secret)).status().code(), absl::StatusCode::kInvalidArgument);
}

// What remains without the noise, which is the same for two models under one secret and label, has the L2 bound.
TEST(SiteUpdateTest, TheNormOfWhatASiteAddsIsBounded) {
  for (const double clip_norm : {0.001, 0.5, 1000.0}) {
    Round round;
    round.plan.privacy.clip = 16;
    round.WithNoise(1, clip_norm);
    Round still = round;
    still.local = still.global;
    const std::vector<int64_t> with = round.Units(Secret("a"));
    const std::vector<int64_t> noise = still.Units(Secret("a"));
    std::vector<int64_t> update(kD);
    for (size_t i = 0; i < kD; ++i) update[i] = with[i] - noise[i];
    const plan::SiteNoise bounds = plan::SiteNoiseOf(round.plan).value();
    EXPECT_LE(NormOf(update), bounds.most_norm);
    const double norm = privacy::UpdateNorm(round.local, round.global).value();
    EXPECT_NEAR(NormOf(update) / bounds.quantizer.scale, std::min(norm, clip_norm),
                0.01 * std::min(norm, clip_norm) + 2 * std::sqrt(kD) / bounds.quantizer.scale);
    EXPECT_EQ(SiteUpdate::Create(round.Inputs(Secret("a")))->weight().omega(), 1) << "whatever its samples";
  }
}

// In a ring so narrow that one unit is as large as the update: the rounding is drawn again until it keeps the norm.
TEST(SiteUpdateTest, TheRoundingIsDrawnAgainUntilTheNormHolds) {
  Round round(64, 16);
  round.plan.privacy.clip = 1e6;
  round.WithNoise(50, 1);
  std::mt19937 random(6);
  std::normal_distribution<float> normal(0, 1);
  for (float& value : round.local) value = normal(random);  // clipped to the full norm
  const plan::SiteNoise bounds = plan::SiteNoiseOf(round.plan).value();
  ASSERT_LE(bounds.quantizer.scale, 32);
  ASSERT_LT(bounds.most_norm, bounds.quantizer.scale + 8) << "tighter than the bound that always holds";
  Round still = round;
  still.local = still.global;
  for (int i = 0; i < 300; ++i) {
    const Bytes label = std::to_string(i);
    const std::vector<int64_t> with = round.Units(Secret("a"), label);
    const std::vector<int64_t> noise = still.Units(Secret("a"), label);
    std::vector<int64_t> update(64);
    for (size_t j = 0; j < 64; ++j) update[j] = with[j] - noise[j];
    ASSERT_LE(NormOf(update), bounds.most_norm);
  }
}

// ---- the noise of the sum ----

// Standard deviation of the sum's noise for every number of survivors, and of what is left of it when `colluders` of
// them tell theirs: never below the plan's. The estimate of a variance from n samples is off by sqrt(2 / n): |z| < 5.
TEST(SiteNoiseOfASumTest, IsWhatThePlanSaysForEveryNumberOfSurvivors) {
  Round round(20'000);
  round.local = round.global;  // rounding adds nothing
  round.WithNoise(3, 0.7);
  const plan::SiteNoise noise = plan::SiteNoiseOf(round.plan).value();
  const double planned = 3 * 0.7 * noise.quantizer.scale;
  std::vector<std::vector<int64_t>> sites;
  for (int i = 0; i < round.plan.sites.maximum; ++i) sites.push_back(round.Units(Secret("site " + std::to_string(i))));
  std::vector<double> honest(round.local.size(), 0);
  const double n = static_cast<double>(honest.size());
  for (size_t known = 0; known < sites.size(); ++known) {
    double square = 0;
    for (size_t j = 0; j < honest.size(); ++j) {
      honest[j] += static_cast<double>(sites[known][j]);
      square += honest[j] * honest[j];
    }
    const auto shares = static_cast<double>(known + 1);
    const double expected = shares * static_cast<double>(noise.variance);
    EXPECT_LT(std::abs(square / n - expected) / (expected * std::sqrt(2 / n)), 5) << shares;
    // Survivors without the colluders: at least minimum - colluders.
    if (known + 1 >= static_cast<size_t>(round.plan.sites.minimum - round.plan.privacy.colluders)) {
      EXPECT_GE(std::sqrt(square / n), planned * (1 - 5 / std::sqrt(2 * n)));
      EXPECT_GE(std::sqrt(expected), planned * (1 - 1e-12));
    }
  }
  EXPECT_LT(
      std::sqrt((round.plan.sites.minimum - round.plan.privacy.colluders - 1.0) * static_cast<double>(noise.variance)),
      planned)
      << "one honest share less would not do";
}

// ---- audit ----

// Lower end of the 95% interval of Clopper and Pearson for `hits` of `trials`, by bisection on the binomial tail.
double LeastRate(int hits, int trials) {
  if (hits == 0) return 0;
  double low = 0, high = 1;
  for (int step = 0; step < 60; ++step) {
    const double p = (low + high) / 2;
    double tail = 0;  // P(at least `hits`)
    for (int k = hits; k <= trials; ++k) {
      tail += std::exp(std::lgamma(trials + 1.0) - std::lgamma(k + 1.0) - std::lgamma(trials - k + 1.0) +
                       k * std::log(p) + (trials - k) * std::log1p(-p));
    }
    (tail < 0.025 ? low : high) = p;
  }
  return low;
}

// The best attack on a Gaussian with everything known but one site's update: colluders and all other updates are taken
// out of the sum, and what is left is projected on the canary. Returns the epsilon that the attack's success proves, at
// 95% confidence for each of its two rates.
double AuditedEpsilon(Round round, double delta, int trials) {
  const int honest = round.plan.sites.minimum - round.plan.privacy.colluders;
  Round without = round;
  without.local = without.global;
  std::vector<double> canary(round.local.size());
  for (size_t i = 0; i < canary.size(); ++i) canary[i] = double{round.local[i]} - double{round.global[i]};
  const auto score = [&](const Round& world, const std::string& label) {
    double projection = 0;
    for (int site = 0; site < honest; ++site) {
      const Round& it = site == 0 ? world : without;
      const std::vector<int64_t> units = it.Units(Secret("site " + std::to_string(site)), label);
      for (size_t i = 0; i < units.size(); ++i) projection += canary[i] * static_cast<double>(units[i]);
    }
    return projection;
  };
  // The threshold comes from trials of its own, so that the rates are honest.
  std::vector<double> tuning;
  for (int i = 0; i < trials; ++i) tuning.push_back(score(without, "tuning " + std::to_string(i)));
  std::sort(tuning.begin(), tuning.end());
  const double threshold = tuning[static_cast<size_t>(trials * 99 / 100)];
  int found = 0, mistaken = 0;
  for (int i = 0; i < trials; ++i) {
    found += score(round, "with " + std::to_string(i)) > threshold ? 1 : 0;
    mistaken += score(without, "without " + std::to_string(i)) > threshold ? 1 : 0;
  }
  const double most_mistaken = 1 - LeastRate(trials - mistaken, trials);
  return std::log((LeastRate(found, trials) - delta) / most_mistaken);
}

// A site whose update is the canary, of full norm, is not seen more clearly than the plan claims. That this would show
// is shown by the same audit of sites that add an eighth of the noise.
TEST(SitePrivacyAuditTest, TheEpsilonThatAnAttackProvesIsBelowTheClaimedOne) {
  constexpr int kTrials = 1200;
  Round round(16);
  round.plan.privacy.clip = 1;
  for (size_t i = 0; i < round.local.size(); ++i) round.local[i] = round.global[i] + 1.0F;  // clipped to norm 1
  round.WithNoise(1.5);
  const double claimed = plan::SiteEpsilon(round.plan, 1).value();
  const double delta = round.plan.privacy.differential_privacy->delta;
  const double audited = AuditedEpsilon(round, delta, kTrials);
  EXPECT_LT(audited, claimed);
  EXPECT_GT(audited, 0) << "an attack that finds nothing proves nothing";
  round.WithNoise(1.5 / 8);
  EXPECT_GT(AuditedEpsilon(round, delta, kTrials), claimed);
}

}  // namespace
}  // namespace cloister::site
