// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/quantizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace cloister::update {
namespace {

using absl::StatusCode;

// A seekable stream: word i is a hash of i (splitmix64), so any range can be asked for.
absl::Status TestWords(uint64_t seed, uint64_t first, absl::Span<uint32_t> words) {
  for (size_t i = 0; i < words.size(); ++i) {
    uint64_t z = (first + i + 1) * 0x9e3779b97f4a7c15u + seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    words[i] = static_cast<uint32_t>((z ^ z >> 31) >> 16);
  }
  return absl::OkStatus();
}

RoundingWords Words(uint64_t seed) {
  return [seed](uint64_t first, absl::Span<uint32_t> words) { return TestWords(seed, first, words); };
}

RoundingWords Constant(uint32_t word) {
  return [word](uint64_t, absl::Span<uint32_t> words) {
    for (uint32_t& w : words) w = word;
    return absl::OkStatus();
  };
}

template <typename T = uint32_t>
std::vector<T> QuantizeAll(const QuantMap& map, Weight weight, const std::vector<float>& local,
                           const std::vector<float>& global, RoundingWords words) {
  const UpdateQuantizer quantizer = UpdateQuantizer::Create(map, weight, local, global, std::move(words)).value();
  std::vector<T> residues(local.size());
  EXPECT_TRUE(quantizer.Read(0, absl::MakeSpan(residues)).ok());
  return residues;
}

int64_t Signed(uint32_t residue, uint32_t bits) {
  const int64_t value = residue;
  return value >= int64_t{1} << (bits - 1) ? value - (int64_t{1} << bits) : value;
}

TEST(WeightTest, IsExactAndCapped) {
  EXPECT_EQ(Weight::FromSamples(100, 100)->fixed(), Weight::kOne);
  EXPECT_EQ(Weight::FromSamples(200, 100)->fixed(), Weight::kOne);
  EXPECT_EQ(Weight::FromSamples(1, 2)->omega(), 0.5);
  EXPECT_EQ(Weight::FromSamples(1, uint64_t{1} << 31)->fixed(), 2u);
  EXPECT_EQ(Weight::FromSamples(~uint64_t{0}, uint64_t{1} << 31)->fixed(), Weight::kOne);
  EXPECT_FALSE(Weight::FromSamples(0, 10).ok());
  EXPECT_FALSE(Weight::FromSamples(1, 0).ok());
  EXPECT_FALSE(Weight::FromSamples(1, (uint64_t{1} << 31) + 1).ok());
  EXPECT_EQ(SumOfOmega(3 * Weight::kOne), 3.0);
}

TEST(UpdateQuantizerTest, AgreesWithTheDefinition) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 0.02f);
  for (const uint32_t bits : {16u, 24u, 32u}) {
    const QuantPlan plan = QuantPlan::Choose(5, 0.05, bits).value();
    const Weight weight = Weight::FromSamples(313, 500).value();
    std::vector<float> local(5000), global(5000);
    for (float& x : local) x = normal(random);
    for (float& x : global) x = normal(random);
    local[0] = 3.4e38f, global[0] = -3.4e38f;  // the difference is no float
    local[1] = 0.0f, global[1] = -0.0f;
    local[2] = 1e-42f, global[2] = 0.0f;  // subnormal
    const std::vector<uint32_t> residues = QuantizeAll(plan, weight, local, global, Words(9));
    std::vector<uint32_t> words(5000);
    ASSERT_TRUE(TestWords(9, 0, absl::MakeSpan(words)).ok());
    for (size_t i = 0; i < local.size(); ++i) {
      const double delta = std::clamp(double{local[i]} - double{global[i]}, -plan.clip, plan.clip);
      const double fixed = std::nearbyint(delta * (weight.omega() * plan.scale * 0x1p20));
      const double expected = std::floor((fixed + (words[i] >> 12)) / 0x1p20);
      ASSERT_EQ(Signed(residues[i], bits), static_cast<int64_t>(expected)) << i;
      ASSERT_LT(std::abs(expected - delta * weight.omega() * plan.scale), 1.0 + 0x1p-20) << i;
      ASSERT_LE(std::abs(expected), std::ceil(plan.scale * plan.clip));
    }
  }
}

// The largest element a site can send, with the worst rounding, times the number of sites, still has the right sign.
TEST(UpdateQuantizerTest, FullSumsOfExtremesDoNotLeaveTheRing) {
  for (const uint32_t bits : {16u, 24u, 32u}) {
    for (const uint32_t sites : {1u, 3u, 7u, 100u}) {
      const QuantPlan plan = QuantPlan::Choose(sites, 0.7, bits).value();
      const double tolerance = 1 / plan.scale + 0x1p-24;  // one unit of the ring, one rounding to float32
      const std::vector<float> high(3, 9.0f), low(3, -9.0f), zero(3, 0.0f);
      for (const uint32_t word : {0u, ~0u}) {
        uint32_t up = 0, down = 0;
        for (uint32_t s = 0; s < sites; ++s) {
          up += QuantizeAll(plan, Weight(), high, zero, Constant(word))[0];
          down += QuantizeAll(plan, Weight(), low, zero, Constant(word))[0];
        }
        const uint32_t mask = static_cast<uint32_t>((uint64_t{1} << bits) - 1);
        const int64_t sums[2] = {Signed(up & mask, bits), Signed(down & mask, bits)};
        float means[2];
        ASSERT_TRUE(DequantizeMean(plan, 0, sums, sites, absl::MakeSpan(means)).ok());
        EXPECT_NEAR(means[0], 0.7, tolerance);
        EXPECT_NEAR(means[1], -0.7, tolerance);
      }
    }
  }
}

// z-test: with p = fractional part, the mean of n roundings has standard deviation sqrt(p (1 - p) / n). |z| < 5 fails a
// correct quantizer once in 1.7 million; the seed is fixed.
TEST(UpdateQuantizerTest, RoundingIsUnbiased) {
  constexpr size_t kN = 1 << 18;
  QuantPlan plan = QuantPlan::Choose(10, 1.0, 16).value();
  for (const double value : {0.25, -0.25, 0.5, 0.9, 0.01, -0.99, 123.456, -77.125, 0.0, 5.0}) {
    const std::vector<float> local(kN, static_cast<float>(value / plan.scale)), global(kN, 0.0f);
    const double exact = double{local[0]} * plan.scale;
    double sum = 0;
    for (const uint32_t residue : QuantizeAll(plan, Weight(), local, global, Words(21))) {
      const int64_t q = Signed(residue, 16);
      ASSERT_LT(std::abs(q - exact), 1.0);
      sum += static_cast<double>(q);
    }
    const double p = exact - std::floor(exact);
    const double bias = sum / kN - exact;
    if (p == 0) {
      EXPECT_EQ(bias, 0);
    } else {
      EXPECT_LT(std::abs(bias) / std::sqrt(p * (1 - p) / kN), 5) << value;
    }
  }
}

TEST(UpdateQuantizerTest, AnyChunksGiveTheSameResidues) {
  constexpr size_t kD = 10007;
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> local(kD), global(kD);
  for (float& x : local) x = normal(random);
  for (float& x : global) x = normal(random);
  const QuantPlan plan = QuantPlan::Choose(4, 2).value();
  const UpdateQuantizer quantizer = UpdateQuantizer::Create(plan, Weight(), local, global, Words(1), 0.37).value();
  std::vector<uint32_t> whole(kD);
  ASSERT_TRUE(quantizer.Read(0, absl::MakeSpan(whole)).ok());
  for (const size_t chunk : {1u, 2u, 3u, 7u, 64u, 2047u, 2048u, 2049u, 10006u}) {
    std::vector<uint32_t> pieces(kD);
    // Backwards, to show that order is free.
    for (size_t i = (kD - 1) / chunk + 1; i-- > 0;) {
      const size_t first = i * chunk;
      ASSERT_TRUE(quantizer.Read(first, absl::MakeSpan(pieces).subspan(first, chunk)).ok());
    }
    EXPECT_EQ(pieces, whole) << chunk;
  }
}

TEST(UpdateQuantizerTest, MeanOfTheSumIsTheWeightedMean) {
  constexpr size_t kD = 1000;
  std::mt19937 random(8);
  std::normal_distribution<float> normal(0, 0.1f);
  const QuantPlan plan = QuantPlan::Choose(4, 1).value();
  std::vector<float> global(kD);
  for (float& x : global) x = normal(random);
  std::vector<int64_t> sum(kD, 0);
  std::vector<double> expected(kD, 0);
  uint64_t fixed = 0;
  for (uint64_t site = 0; site < 4; ++site) {
    const Weight weight = Weight::FromSamples(100 + 77 * site, 300).value();
    std::vector<float> local = global;
    for (float& x : local) x += normal(random);
    const std::vector<uint32_t> residues = QuantizeAll(plan, weight, local, global, Words(site));
    for (size_t i = 0; i < kD; ++i) {
      sum[i] += Signed(residues[i], 32);
      expected[i] += weight.omega() * (double{local[i]} - double{global[i]});
    }
    fixed += weight.fixed();
  }
  const double omega = SumOfOmega(fixed);
  std::vector<float> mean(kD);
  ASSERT_TRUE(DequantizeMean(plan, 0, sum, omega, absl::MakeSpan(mean)).ok());
  // Four roundings of less than one unit each, and one rounding to float32.
  for (size_t i = 0; i < kD; ++i) {
    const double exact = expected[i] / omega;
    EXPECT_NEAR(mean[i], exact, 4 / (plan.scale * omega) + std::abs(exact) * 0x1p-23) << i;
  }
}

TEST(UpdateQuantizerTest, NamesTheNonFiniteParameter) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const QuantPlan plan = QuantPlan::Choose(4, 1).value();
  for (const float bad : {nan, -nan, infinity, -infinity}) {
    for (const size_t at : {0u, 1u, 2047u, 2048u, 4999u}) {
      for (const bool in_local : {true, false}) {
        std::vector<float> local(5000, 1.0f), global(5000, 1.0f);
        (in_local ? local : global)[at] = bad;
        const UpdateQuantizer quantizer = UpdateQuantizer::Create(plan, Weight(), local, global, Words(1)).value();
        std::vector<uint32_t> residues(5000);
        const absl::Status status = quantizer.Read(0, absl::MakeSpan(residues));
        EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
        EXPECT_EQ(std::string(status.message()), "parameter " + std::to_string(at) + " of the " +
                                                     (in_local ? "local" : "global") + " model is not finite");
      }
    }
  }
  // Infinity minus infinity is the trap.
  const std::vector<float> same(4, infinity);
  std::vector<uint32_t> residues(4);
  EXPECT_FALSE(UpdateQuantizer::Create(plan, Weight(), same, same, Words(1))->Read(0, absl::MakeSpan(residues)).ok());
}

TEST(UpdateQuantizerTest, RefusesWrongSizesAndRangesAndPassesErrorsOn) {
  const QuantPlan plan = QuantPlan::Choose(4, 1).value();
  const std::vector<float> four(4, 0.0f), five(5, 0.0f);
  EXPECT_FALSE(UpdateQuantizer::Create(plan, Weight(), four, five, Words(1)).ok());
  EXPECT_FALSE(UpdateQuantizer::Create(QuantPlan(), Weight(), four, four, Words(1)).ok());
  for (const double shrink : {0.0, -0.5, 1.5, std::nan("")}) {
    EXPECT_FALSE(UpdateQuantizer::Create(plan, Weight(), four, four, Words(1), shrink).ok()) << shrink;
  }
  const UpdateQuantizer quantizer = UpdateQuantizer::Create(plan, Weight(), four, four, Words(1)).value();
  std::vector<uint32_t> residues(2);
  EXPECT_TRUE(quantizer.Read(2, absl::MakeSpan(residues)).ok());
  EXPECT_FALSE(quantizer.Read(3, absl::MakeSpan(residues)).ok());
  EXPECT_FALSE(quantizer.Read(5, absl::Span<uint32_t>()).ok());
  EXPECT_FALSE(quantizer.Read(~uint64_t{0}, absl::MakeSpan(residues)).ok());
  EXPECT_TRUE(quantizer.Read(4, absl::Span<uint32_t>()).ok());
  std::vector<uint64_t> wide(2);
  EXPECT_EQ(quantizer.Read(0, absl::MakeSpan(wide)).code(), StatusCode::kInvalidArgument);
  const UpdateQuantizer in_64 =
      UpdateQuantizer::Create(QuantPlan::Choose(4, 1, 64).value(), Weight(), four, four, Words(1)).value();
  EXPECT_TRUE(in_64.Read(0, absl::MakeSpan(wide)).ok());
  EXPECT_EQ(in_64.Read(0, absl::MakeSpan(residues)).code(), StatusCode::kInvalidArgument);
  const RoundingWords failing = [](uint64_t, absl::Span<uint32_t>) { return absl::InternalError("no bits"); };
  EXPECT_EQ(UpdateQuantizer::Create(plan, Weight(), four, four, failing)->Read(0, absl::MakeSpan(residues)).code(),
            StatusCode::kInternal);
}

TEST(DequantizeMeanTest, RefusesWhatCannotBe) {
  const QuantPlan plan = QuantPlan::Choose(4, 1, 24).value();
  std::vector<int64_t> sum = {1, -1};
  std::vector<float> mean(2);
  EXPECT_TRUE(DequantizeMean(plan, 0, sum, 4, absl::MakeSpan(mean)).ok());
  EXPECT_EQ(mean[1], -mean[0]);
  for (const double omega : {0.0, -1.0, 4.1, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_FALSE(DequantizeMean(plan, 0, sum, omega, absl::MakeSpan(mean)).ok()) << omega;
  }
  for (const int64_t inside : {0x7fffff, -0x800000}) {
    sum[0] = inside;
    EXPECT_TRUE(DequantizeMean(plan, 0, sum, 4, absl::MakeSpan(mean)).ok());
  }
  for (const int64_t outside :
       {int64_t{0x800000}, int64_t{-0x800001}, int64_t{1} << 62, std::numeric_limits<int64_t>::min()}) {
    sum[0] = outside;
    EXPECT_FALSE(DequantizeMean(plan, 0, sum, 4, absl::MakeSpan(mean)).ok()) << outside;
  }
  sum.pop_back();
  EXPECT_FALSE(DequantizeMean(plan, 0, sum, 4, absl::MakeSpan(mean)).ok());
}

// In 64 bits too: |residue - exact| < 1, and the same z-test. 2^-32 of bias would need 2^60 samples to show.
TEST(UpdateQuantizerTest, WideElementsAreRoundedWithoutBiasAndToTheirBound) {
  constexpr size_t kN = 1 << 17;
  const QuantPlan plan = QuantPlan::Choose(10, 1.0, 64).value();
  EXPECT_EQ(plan.scale, QuantPlan::kMostUnits);
  for (const double units : {0.25, -0.5, 0.9, -123.25, 0.0, 1e6 + 0.5, -0x1p50}) {
    const std::vector<float> local(kN, static_cast<float>(units / plan.scale)), global(kN, 0.0f);
    const Weight weight = Weight::FromSamples(300, 400).value();
    const double exact = weight.omega() * (double{local[0]} * plan.scale);
    double sum = 0;
    for (const uint64_t residue : QuantizeAll<uint64_t>(plan, weight, local, global, Words(4))) {
      const double off = static_cast<double>(static_cast<int64_t>(residue)) - exact;
      ASSERT_LT(std::abs(off), 1.0);
      sum += off;
    }
    const double p = exact - std::floor(exact);
    if (p == 0) {
      EXPECT_EQ(sum, 0);
    } else {
      EXPECT_LT(std::abs(sum / kN) / std::sqrt(p * (1 - p) / kN), 5) << units;
    }
  }
}

// A site of 3 samples where the cap is 10,000: what it adds is far below one step, and yet its mean arrives.
TEST(UpdateQuantizerTest, ASmallSitesUpdateSurvivesACoarseRing) {
  constexpr size_t kN = 1 << 20;
  const QuantPlan plan = QuantPlan::Choose(20, 1.0, 16).value();
  const Weight weight = Weight::FromSamples(3, 10'000).value();
  const std::vector<float> local(kN, 0.3f), global(kN, 0.0f);
  const double exact = double{local[0]} * weight.omega() * plan.scale;
  ASSERT_LT(exact, 0.1);
  double sum = 0;
  for (const uint32_t residue : QuantizeAll(plan, weight, local, global, Words(6))) sum += Signed(residue, 16);
  EXPECT_LT(std::abs(sum / kN - exact) / std::sqrt(exact * (1 - exact) / kN), 5);
}

TEST(UpdateQuantizerTest, EveryTensorIsRoundedWithItsOwnPlan) {
  const Layout layout = Layout::Create({{"a", {3000}}, {"b", {5}}, {"c", {}}, {"d", {100}}}).value();
  for (const uint32_t bits : {24u, 64u}) {
    QuantPlan whole;
    whole.ring_bits = bits;
    whole.clip = 0.5;
    whole.sites = 6;
    const TensorClip clips[] = {{"b", 40.0}, {"c", 1e-3}};
    const QuantMap map = QuantMap::Create(whole, clips, layout).value();
    std::vector<float> local(3106), global(3106, 0.25f);
    std::mt19937 random(2);
    std::normal_distribution<float> normal(0, 0.4f);
    for (float& x : local) x = normal(random);
    const auto quantize = [&](const QuantMap& some) {
      if (bits == 64) return QuantizeAll<uint64_t>(some, Weight(), local, global, Words(3));
      const std::vector<uint32_t> residues = QuantizeAll(some, Weight(), local, global, Words(3));
      return std::vector<uint64_t>(residues.begin(), residues.end());
    };
    const std::vector<uint64_t> all = quantize(map);
    for (const QuantMap::Segment& segment : map.segments()) {
      const std::vector<uint64_t> alone = quantize(segment.plan);
      const uint64_t first = &segment == map.segments().data() ? 0 : (&segment - 1)->end;
      for (uint64_t i = first; i < segment.end; ++i) ASSERT_EQ(all[i], alone[i]) << i;
    }
    // One site's sum is its own update, each tensor back to within its own step.
    std::vector<int64_t> sum;
    for (const uint64_t residue : all) {
      sum.push_back(bits == 64 ? static_cast<int64_t>(residue) : Signed(static_cast<uint32_t>(residue), bits));
    }
    std::vector<float> mean(sum.size()), piece(10);
    ASSERT_TRUE(DequantizeMean(map, 0, sum, 1, absl::MakeSpan(mean)).ok());
    for (uint64_t i = 0; i < mean.size(); ++i) {
      const QuantPlan& plan = map.At(i).plan;
      const double delta = std::clamp(double{local[i]} - double{global[i]}, -plan.clip, plan.clip);
      ASSERT_NEAR(mean[i], delta, plan.step() + std::abs(delta) * 0x1p-23) << i;
    }
    ASSERT_TRUE(DequantizeMean(map, 2998, absl::MakeConstSpan(sum).subspan(2998, 10), 1, absl::MakeSpan(piece)).ok());
    for (size_t i = 0; i < piece.size(); ++i) EXPECT_EQ(piece[i], mean[2998 + i]);
    EXPECT_FALSE(DequantizeMean(map, 3100, absl::MakeConstSpan(sum).subspan(0, 10), 1, absl::MakeSpan(piece)).ok());
    local.push_back(0), global.push_back(0);
    EXPECT_EQ(UpdateQuantizer::Create(map, Weight(), local, global, Words(3)).status().code(),
              StatusCode::kInvalidArgument);
  }
}

// Pins the bits: another compiler, processor or library version must give these residues too.
TEST(UpdateQuantizerTest, KnownAnswer) {
  const QuantPlan plan = QuantPlan::Choose(4, 1).value();
  std::vector<float> local(4096), global(4096);
  for (size_t i = 0; i < 4096; ++i) {
    local[i] = static_cast<float>(static_cast<int>(i * 7919 % 4001) - 2000) / 1777.0f;
    global[i] = static_cast<float>(static_cast<int>(i * 104729 % 3001) - 1500) / 5003.0f;
  }
  const std::vector<uint32_t> residues =
      QuantizeAll(plan, Weight::FromSamples(123, 457).value(), local, global, Words(77));
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const uint32_t residue : residues) hash = (hash ^ residue) * 1099511628211u;
  EXPECT_EQ(hash, 16451101912594294080u);
}

}  // namespace
}  // namespace cloister::update
