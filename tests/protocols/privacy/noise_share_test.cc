// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/noise_share.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

namespace cloister::privacy {
namespace {

NoiseShare::BlockWords Streams(uint64_t seed) {
  return [seed](uint64_t block) -> RandomWords {
    return [random = std::mt19937_64(seed * 1000 + block)](absl::Span<uint64_t> words) mutable {
      for (uint64_t& word : words) word = random();
    };
  };
}

TEST(NoiseShareTest, AnyChunksInAnyOrderGiveTheSameSamples) {
  constexpr size_t kD = 5 * NoiseShare::kBlock + 77;
  const NoiseShare share = NoiseShare::Create({1'000'000, 1}, Streams(1)).value();
  std::vector<uint64_t> whole(kD, 0);
  share.AddTo(0, absl::MakeSpan(whole));
  for (const size_t chunk : {1u, 7u, 1023u, 1024u, 1025u, 5000u}) {
    std::vector<uint32_t> pieces(kD, 5);
    if (chunk == 1) pieces.resize(1100);  // a block is drawn anew for each
    for (size_t i = (pieces.size() - 1) / chunk + 1; i-- > 0;) {
      share.AddTo(i * chunk, absl::MakeSpan(pieces).subspan(i * chunk, chunk));
    }
    for (size_t i = 0; i < pieces.size(); ++i) ASSERT_EQ(pieces[i], 5 + static_cast<uint32_t>(whole[i])) << chunk;
  }
}

TEST(NoiseShareTest, BlocksHaveNoiseOfTheirOwn) {
  const NoiseShare share = NoiseShare::Create({uint64_t{1} << 44, 1}, Streams(2)).value();
  std::vector<uint64_t> noise(64 * NoiseShare::kBlock, 0);
  share.AddTo(0, absl::MakeSpan(noise));
  const std::set<uint64_t> heads = [&] {
    std::set<uint64_t> first;
    for (size_t i = 0; i < noise.size(); i += NoiseShare::kBlock) first.insert(noise[i]);
    return first;
  }();
  EXPECT_EQ(heads.size(), 64u);
}

// Mean and variance of n samples: standard errors sigma / sqrt(n) and sigma^2 sqrt(2 / n). |z| < 5, fixed seed.
TEST(NoiseShareTest, HasTheVarianceThatWasAskedFor) {
  constexpr double kN = 200 * NoiseShare::kBlock;
  for (const uint64_t variance : {uint64_t{10'000}, uint64_t{1} << 40}) {
    const NoiseShare share = NoiseShare::Create({variance, 1}, Streams(3)).value();
    std::vector<uint64_t> noise(static_cast<size_t>(kN), 0);
    share.AddTo(0, absl::MakeSpan(noise));
    double sum = 0;
    double squares = 0;
    for (const uint64_t sample : noise) {
      const auto x = static_cast<double>(static_cast<int64_t>(sample));
      sum += x;
      squares += x * x;
    }
    const auto expected = static_cast<double>(variance);
    EXPECT_LT(std::abs(sum / kN) / std::sqrt(expected / kN), 5);
    EXPECT_LT(std::abs(squares / kN - expected) / (expected * std::sqrt(2 / kN)), 5);
  }
}

TEST(NoiseShareTest, AVarianceThatCannotBeSampledIsRefused) {
  EXPECT_EQ(NoiseShare::Create({0, 1}, Streams(1)).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(NoiseShare::Create({(uint64_t{1} << 48) + 1, 1}, Streams(1)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::privacy
