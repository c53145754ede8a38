// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/ring.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace cloister::secagg {
namespace {

// Byte `byte` of the elements, one after the other: the definition.
Bytes PackedByHand(const std::vector<uint64_t>& values, int bits) {
  Bytes bytes;
  for (const uint64_t value : values) {
    for (int byte = 0; byte < bits / 8; ++byte) bytes.push_back(static_cast<char>(value >> (8 * byte)));
  }
  return bytes;
}

std::vector<uint64_t> RandomElements(size_t size, int bits) {
  std::mt19937_64 random(size + static_cast<size_t>(bits));
  std::vector<uint64_t> values(size);
  for (uint64_t& value : values) value = random() & RingMask(bits);
  return values;
}

TEST(RingTest, WidthsAreThese) {
  for (int64_t bits = -64; bits <= 256; ++bits) {
    EXPECT_EQ(IsRing(bits), bits == 16 || bits == 24 || bits == 32 || bits == 64) << bits;
  }
  EXPECT_EQ(RingMask(16), 0xffffU);
  EXPECT_EQ(RingMask(24), 0xffffffU);
  EXPECT_EQ(RingMask(64), ~uint64_t{0});
  EXPECT_EQ(HeldBits(24), 32);
  EXPECT_EQ(HeldBits(64), 64);
}

TEST(RingTest, NarrowElementsLieAsTheirBytesAndComeBack) {
  for (const int bits : {16, 24, 32}) {
    for (size_t size = 0; size < 70; ++size) {
      const std::vector<uint64_t> elements = RandomElements(size, bits);
      std::vector<uint32_t> values(elements.begin(), elements.end());
      Bytes packed(size * ElementBytes(bits), 'x');
      Pack(absl::MakeConstSpan(values), bits, packed.data());
      ASSERT_EQ(packed, PackedByHand(elements, bits)) << bits << " " << size;
      std::vector<uint32_t> back(size);
      Unpack(packed.data(), bits, absl::MakeSpan(back));
      ASSERT_EQ(back, values);
      AddPacked(packed.data(), bits, absl::MakeSpan(back));
      for (size_t i = 0; i < size; ++i) ASSERT_EQ(back[i], 2 * values[i]);
      Reduce(bits, absl::MakeSpan(back));
      for (size_t i = 0; i < size; ++i) ASSERT_EQ(back[i], 2 * values[i] & RingMask(bits));
    }
  }
}

TEST(RingTest, BitsAboveTheRingAreDropped) {
  const std::vector<uint32_t> values = {0xdeadbeefU, 0xffffffffU, 0x12345678U, 0x87654321U, 0xabcdef01U};
  for (const int bits : {16, 24}) {
    Bytes packed(values.size() * ElementBytes(bits), 'x');
    Pack(absl::MakeConstSpan(values), bits, packed.data());
    EXPECT_EQ(packed, PackedByHand({values.begin(), values.end()}, bits));
  }
}

TEST(RingTest, WideElementsLieAsTheyAre) {
  const std::vector<uint64_t> values = RandomElements(33, 64);
  Bytes packed(33 * 8, 'x');
  Pack(absl::MakeConstSpan(values), 64, packed.data());
  EXPECT_EQ(packed, PackedByHand(values, 64));
  std::vector<uint64_t> back(33);
  Unpack(packed.data(), 64, absl::MakeSpan(back));
  EXPECT_EQ(back, values);
  AddPacked(packed.data(), 64, absl::MakeSpan(back));
  for (size_t i = 0; i < back.size(); ++i) EXPECT_EQ(back[i], 2 * values[i]);
}

TEST(RingViewTest, TheTopBitIsTheSign) {
  for (const int bits : {16, 24, 32, 64}) {
    std::vector<uint64_t> elements = RandomElements(5000, bits);
    const uint64_t half = uint64_t{1} << (bits - 1);
    elements[0] = half, elements[1] = half - 1, elements[2] = RingMask(bits), elements[3] = 0;
    const Bytes packed = PackedByHand(elements, bits);
    const RingView view{bits, packed};
    ASSERT_EQ(view.size(), elements.size());
    for (const size_t first : {0, 1, 2047, 4999, 5000}) {
      std::vector<int64_t> values(elements.size() - first);
      view.ReadSigned(first, absl::MakeSpan(values));
      for (size_t i = 0; i < values.size(); ++i) {
        const uint64_t element = elements[first + i];
        ASSERT_EQ(static_cast<uint64_t>(values[i]) & RingMask(bits), element);
        ASSERT_EQ(values[i] < 0, element >= half) << bits << " " << first << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace cloister::secagg
