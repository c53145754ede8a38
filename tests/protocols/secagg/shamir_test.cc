// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/shamir.h"

#include <gtest/gtest.h>

#include <random>

#include "protocols/crypto/random.h"

namespace cloister::secagg {
namespace {

__extension__ typedef unsigned __int128 Wide;

TEST(FieldTest, AgreesWithWideArithmetic) {
  std::mt19937_64 random(1);
  const Wide p = kFieldPrime;
  std::vector<uint64_t> values = {0, 1, 2, 3, kFieldPrime - 1, kFieldPrime - 2, kFieldPrime / 2, uint64_t{1} << 60};
  for (int i = 0; i < 200; ++i) values.push_back(random() % kFieldPrime);
  for (const uint64_t a : values) {
    for (const uint64_t b : values) {
      EXPECT_EQ(FieldAdd(a, b), static_cast<uint64_t>((Wide{a} + b) % p));
      EXPECT_EQ(FieldSub(a, b), static_cast<uint64_t>((Wide{a} + p - b) % p));
      EXPECT_EQ(FieldMul(a, b), static_cast<uint64_t>(Wide{a} * b % p));
    }
    EXPECT_EQ(FieldMul(a, FieldInverse(a)), a == 0 ? 0u : 1u);
  }
}

std::vector<ShamirShare> Deal(const crypto::SecretBytes& secret, int threshold, int n) {
  crypto::SeededStream stream(secret, "coefficients");
  return DealShares(secret, threshold, n, stream).value();
}

using Numbered = std::vector<std::pair<uint32_t, ShamirShare>>;

TEST(ShamirTest, EverySubsetOfThresholdSharesGivesTheSecret) {
  const crypto::SecretBytes secret = crypto::RandomSecret(32);
  for (int n = 1; n <= 7; ++n) {
    for (int t = 1; t <= n; ++t) {
      const std::vector<ShamirShare> shares = Deal(secret, t, n);
      for (uint32_t subset = 0; subset < (1u << n); ++subset) {
        Numbered chosen;
        for (int i = 0; i < n; ++i) {
          if ((subset >> i & 1) != 0) chosen.emplace_back(i + 1, shares[static_cast<size_t>(i)]);
        }
        if (static_cast<int>(chosen.size()) < t) continue;
        EXPECT_EQ(RecoverSecret(chosen).value(), secret) << n << " " << t << " " << subset;
      }
    }
  }
}

TEST(ShamirTest, ExtremeSecretsAndLargeCohorts) {
  for (const int fill : {0x00, 0xff, 0x80}) {
    const crypto::SecretBytes secret = crypto::SecretBytes::CopyOf(Bytes(32, static_cast<char>(fill)));
    const std::vector<ShamirShare> shares = Deal(secret, 86, 128);
    Numbered chosen;
    for (uint32_t x = 128; x > 128 - 86; --x) chosen.emplace_back(x, shares[x - 1]);
    EXPECT_EQ(RecoverSecret(chosen).value(), secret);
  }
}

// Fewer shares than the threshold say nothing: for any other secret there is a last share that would prove it.
TEST(ShamirTest, OneShareLessFitsEverySecret) {
  const crypto::SecretBytes secret = crypto::RandomSecret(32);
  const int t = 4;
  const std::vector<ShamirShare> shares = Deal(secret, t, t);
  for (int trial = 0; trial < 20; ++trial) {
    const crypto::SecretBytes other = crypto::RandomSecret(32);
    // Interpolate through (0, other) and the first t - 1 shares, and read it at x = t.
    ShamirShare target;
    for (size_t limb = 0; limb < kShamirLimbs; ++limb) {
      const size_t bytes = limb == 4 ? 4 : 7;
      uint64_t at_zero = 0;
      for (size_t i = 0; i < bytes; ++i) at_zero |= static_cast<uint64_t>(other.data()[7 * limb + i]) << (8 * i);
      uint64_t value = 0;
      for (int x = 0; x < t; ++x) {
        const uint64_t y = x == 0 ? at_zero : shares[static_cast<size_t>(x - 1)].limbs()[limb];
        uint64_t weight = 1;
        for (int z = 0; z < t; ++z) {
          if (z == x) continue;
          const uint64_t numerator = FieldSub(static_cast<uint64_t>(t), static_cast<uint64_t>(z));
          const uint64_t denominator = FieldSub(static_cast<uint64_t>(x), static_cast<uint64_t>(z));
          weight = FieldMul(weight, FieldMul(numerator, FieldInverse(denominator)));
        }
        value = FieldAdd(value, FieldMul(weight, y));
      }
      target.limbs()[limb] = value;
    }
    Numbered chosen;
    for (uint32_t x = 1; x < static_cast<uint32_t>(t); ++x) chosen.emplace_back(x, shares[x - 1]);
    chosen.emplace_back(t, target);
    EXPECT_EQ(RecoverSecret(chosen).value(), other);
  }
}

TEST(ShamirTest, OneShareLessDoesNotGiveTheSecret) {
  const crypto::SecretBytes secret = crypto::RandomSecret(32);
  for (int t = 2; t <= 7; ++t) {
    const std::vector<ShamirShare> shares = Deal(secret, t, 7);
    Numbered chosen;
    for (uint32_t x = 1; x < static_cast<uint32_t>(t); ++x) chosen.emplace_back(x, shares[x - 1]);
    const auto recovered = RecoverSecret(chosen);
    EXPECT_FALSE(recovered.ok() && *recovered == secret) << t;
  }
}

TEST(ShamirTest, TheSameStreamDealsTheSameShares) {
  const crypto::SecretBytes secret = crypto::RandomSecret(32);
  const std::vector<ShamirShare> first = Deal(secret, 3, 5);
  const std::vector<ShamirShare> again = Deal(secret, 3, 5);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(first[i].ToBytes(), again[i].ToBytes());
  EXPECT_NE(first[0].ToBytes(), first[1].ToBytes());
}

TEST(ShamirTest, RefusesWhatIsNoShareAndWhatDoesNotBelong) {
  for (size_t size = 0; size < 100; ++size) {
    EXPECT_EQ(ShamirShare::FromBytes(Bytes(size, '\1')).ok(), size == kShamirShareBytes) << size;
  }
  EXPECT_EQ(ShamirShare::FromBytes(Bytes(40, '\xff')).status().code(), absl::StatusCode::kDataLoss);
  Bytes edge(40, '\0');
  for (int i = 0; i < 7; ++i) edge[static_cast<size_t>(i)] = '\xff';
  edge[7] = '\x1f';  // exactly p
  EXPECT_EQ(ShamirShare::FromBytes(edge).status().code(), absl::StatusCode::kDataLoss);
  edge[0] = '\xfe';
  EXPECT_TRUE(ShamirShare::FromBytes(edge).ok());

  const crypto::SecretBytes secret = crypto::RandomSecret(32);
  const std::vector<ShamirShare> shares = Deal(secret, 2, 3);
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(RecoverSecret({}).status().code(), kInvalid);
  EXPECT_EQ(RecoverSecret({{0, shares[0]}, {1, shares[1]}}).status().code(), kInvalid);
  EXPECT_EQ(RecoverSecret({{1, shares[0]}, {1, shares[1]}}).status().code(), kInvalid);
  const auto wrong = RecoverSecret({{1, shares[0]}, {3, shares[1]}});
  EXPECT_FALSE(wrong.ok() && *wrong == secret);
  crypto::SeededStream stream(secret, "x");
  EXPECT_EQ(DealShares(secret, 0, 3, stream).status().code(), kInvalid);
  EXPECT_EQ(DealShares(secret, 4, 3, stream).status().code(), kInvalid);
  EXPECT_EQ(DealShares(crypto::RandomSecret(31), 2, 3, stream).status().code(), kInvalid);
}

}  // namespace
}  // namespace cloister::secagg
