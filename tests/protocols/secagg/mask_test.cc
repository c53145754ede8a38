// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/mask.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/random.h"
#include "protocols/secagg/unmasker.h"

namespace cloister::secagg {
namespace {

SiteId Site(const char* name) {
  return SiteId::Parse(name).value();
}

template <typename T>
std::vector<T> Keystream(const crypto::SecretBytes& key, uint64_t offset, size_t count) {
  auto stream = crypto::CtrStream::Create(key);
  stream->Seek(offset * sizeof(T));
  std::vector<T> values(count);
  stream->Fill(reinterpret_cast<uint8_t*>(values.data()), count * sizeof(T));
  return values;
}

MaskKey Key(bool add) {
  return {crypto::RandomSecret(28), add};
}

TEST(MaskStreamsTest, ElementJIsItsOwnPlaceInTheKeystream) {
  std::vector<MaskKey> keys;
  keys.push_back(Key(true));
  keys.push_back(Key(false));
  for (const uint64_t offset : {uint64_t{0}, uint64_t{5}, uint64_t{2047}, (uint64_t{1} << 31) / 4 + 1,
                                (uint64_t{1} << 32) / 4 + 3, (uint64_t{1} << 34) - 5000}) {
    const size_t count = 4999;
    std::vector<uint32_t> narrow(count, 7);
    MaskStreams::Create(keys, 32).Apply(offset, absl::Span<uint32_t>(narrow));
    const auto plus = Keystream<uint32_t>(keys[0].key_and_nonce, offset, count);
    const auto minus = Keystream<uint32_t>(keys[1].key_and_nonce, offset, count);
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(narrow[i], 7u + plus[i] - minus[i]) << offset << " " << i;
    if (offset > crypto::CtrStream::kMaxBytes / 8 - count) continue;
    std::vector<uint64_t> wide(count, 9);
    MaskStreams::Create(keys, 64).Apply(offset, absl::Span<uint64_t>(wide));
    const auto wide_plus = Keystream<uint64_t>(keys[0].key_and_nonce, offset, count);
    const auto wide_minus = Keystream<uint64_t>(keys[1].key_and_nonce, offset, count);
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(wide[i], 9u + wide_plus[i] - wide_minus[i]) << offset << " " << i;
  }
}

// The definition, byte by byte: element j of a ring of w bits is bytes [j w/8, (j+1) w/8) of the keystream.
TEST(MaskStreamsTest, NarrowElementsAreThoseOfThePackedKeystream) {
  for (const auto& [bits, streams] : std::vector<std::pair<int, int>>{{16, 3}, {24, 3}, {16, 300}, {24, 300}}) {
    std::vector<MaskKey> keys;  // all added up to 257, then the others taken away
    for (int i = 0; i < streams; ++i) keys.push_back(Key(i < 257 && i != 1));
    const auto width = static_cast<uint64_t>(bits / 8);
    const uint32_t mask = (uint32_t{1} << bits) - 1;
    for (const uint64_t offset : {uint64_t{0}, uint64_t{5}, uint64_t{4095}, (uint64_t{1} << 32) / width + 1,
                                  crypto::CtrStream::kMaxBytes / width - 9000}) {
      constexpr size_t kCount = 8999;
      std::vector<uint32_t> wanted(kCount, 7);
      for (const MaskKey& key : keys) {
        const auto bytes = Keystream<uint8_t>(key.key_and_nonce, offset * width, kCount * width);
        for (size_t i = 0; i < kCount; ++i) {
          uint32_t element = 0;
          for (size_t byte = 0; byte < width; ++byte) element |= uint32_t{bytes[i * width + byte]} << (8 * byte);
          wanted[i] = (key.add ? wanted[i] + element : wanted[i] - element) & mask;
        }
      }
      std::vector<uint32_t> values(kCount, 7);
      MaskStreams masks = MaskStreams::Create(keys, bits);
      masks.Apply(offset + 4000, absl::MakeSpan(values).subspan(4000));
      masks.Apply(offset, absl::MakeSpan(values).subspan(0, 4000));
      ASSERT_EQ(values, wanted) << bits << " " << offset;
    }
  }
}

TEST(MaskStreamsTest, ChunksInAnyOrderGiveTheSameBytes) {
  std::vector<MaskKey> keys;
  for (int i = 0; i < 5; ++i) keys.push_back(Key(i % 2 == 0));
  std::vector<uint32_t> whole(10000, 1);
  MaskStreams::Create(keys, 32).Apply(0, absl::Span<uint32_t>(whole));
  std::vector<uint32_t> pieces(10000, 1);
  MaskStreams streams = MaskStreams::Create(keys, 32);
  for (const auto& [begin, end] : std::vector<std::pair<size_t, size_t>>{
           {9000, 10000}, {0, 1}, {1, 2}, {2, 2050}, {5000, 9000}, {2050, 2050}, {2050, 5000}}) {
    streams.Apply(begin, absl::Span<uint32_t>(pieces).subspan(begin, end - begin));
  }
  EXPECT_EQ(pieces, whole);
}

TEST(MaskKeyTest, DependsOnEverythingItShould) {
  const crypto::SecretBytes secret = crypto::RandomSecret(32);
  const Digest ctx2 = crypto::Sha256("a");
  const SiteId a = Site("site-a");
  const SiteId b = Site("site-b");
  const SiteId c = Site("site-c");
  EXPECT_EQ(PairMaskKey(ctx2, secret, a, b, "update"), PairMaskKey(ctx2, secret, b, a, "update"));
  EXPECT_NE(PairMaskKey(ctx2, secret, a, b, "update"), PairMaskKey(ctx2, secret, a, b, "counters"));
  EXPECT_NE(PairMaskKey(ctx2, secret, a, b, "update"), PairMaskKey(ctx2, secret, a, c, "update"));
  EXPECT_NE(PairMaskKey(ctx2, secret, a, b, "update"), PairMaskKey(crypto::Sha256("b"), secret, a, b, "update"));
  EXPECT_NE(PairMaskKey(ctx2, secret, a, b, "update"), PairMaskKey(ctx2, crypto::RandomSecret(32), a, b, "update"));
  EXPECT_NE(SelfMaskKey(ctx2, secret, a, "update"), SelfMaskKey(ctx2, secret, a, "counters"));
  EXPECT_NE(SelfMaskKey(ctx2, secret, a, "update"), SelfMaskKey(ctx2, secret, b, "update"));
  EXPECT_NE(SelfMaskKey(ctx2, secret, a, "update"), SelfMaskKey(crypto::Sha256("b"), secret, a, "update"));
  EXPECT_NE(AddsPairMask(a, b), AddsPairMask(b, a));
}

// Chi-square over byte values of a masked zero vector; 255 degrees of freedom, 99.99 % below 349, one fixed key.
TEST(MaskStreamsTest, MaskedZerosLookUniform) {
  std::vector<MaskKey> keys;
  keys.push_back({crypto::SecretBytes::CopyOf(Bytes(28, 'k')), true});
  keys.push_back({crypto::SecretBytes::CopyOf(Bytes(28, 'l')), false});
  std::vector<uint32_t> values(1 << 18, 0);
  MaskStreams::Create(keys, 32).Apply(0, absl::Span<uint32_t>(values));
  std::array<double, 256> seen{};
  for (const uint32_t value : values) {
    for (int shift = 0; shift < 32; shift += 8) seen[value >> shift & 255] += 1;
  }
  const double expected = static_cast<double>(values.size()) * 4 / 256;
  double chi_square = 0;
  for (const double count : seen) chi_square += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_square, 349);
  EXPECT_GT(chi_square, 170);
}

TEST(UnmaskerTest, ChecksItsRangeAndRing) {
  std::vector<std::vector<MaskKey>> keys(3);
  for (auto& of_vector : keys) of_vector.push_back(Key(true));
  const Unmasker unmasker({{"update", 10, 32}, {"counters", 3, 64}, {"narrow", 10, 24}}, std::move(keys));
  std::vector<uint32_t> narrow(10);
  std::vector<uint64_t> wide(3);
  EXPECT_TRUE(unmasker.Apply(0, 0, absl::Span<uint32_t>(narrow)).ok());
  EXPECT_TRUE(unmasker.Apply(1, 0, absl::Span<uint64_t>(wide)).ok());
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(unmasker.Apply(0, 1, absl::Span<uint32_t>(narrow)).code(), kInvalid);
  EXPECT_EQ(unmasker.Apply(0, ~uint64_t{0}, absl::Span<uint32_t>(narrow)).code(), kInvalid);
  EXPECT_EQ(unmasker.Apply(1, 0, absl::Span<uint32_t>(narrow)).code(), kInvalid);
  EXPECT_EQ(unmasker.Apply(0, 0, absl::Span<uint64_t>(wide)).code(), kInvalid);
  EXPECT_EQ(unmasker.Apply(2, 0, absl::Span<uint64_t>(wide)).code(), kInvalid);
  EXPECT_TRUE(unmasker.Apply(2, 0, absl::Span<uint32_t>(narrow)).ok());
  EXPECT_EQ(unmasker.Apply(3, 0, absl::Span<uint64_t>(wide)).code(), kInvalid);
}

}  // namespace
}  // namespace cloister::secagg
