// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/bytes.h"

#include <gtest/gtest.h>

namespace cloister {
namespace {

TEST(HexTest, RoundTripsEveryByte) {
  Bytes all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(HexDecode(HexEncode(all)).value(), all);
}

TEST(HexTest, RefusesOddLengthAndForeignCharacters) {
  EXPECT_EQ(HexDecode("abc").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(HexDecode("zz").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DigestTest, RefusesEveryWrongLength) {
  for (size_t size = 0; size < 80; ++size) {
    EXPECT_EQ(Digest::FromBytes(Bytes(size, 'x')).ok(), size == Digest::kSize) << size;
  }
}

TEST(CanonicalTest, ReadsWhatWasWritten) {
  const Bytes bytes = CanonicalWriter().U8(7).U32(0xdeadbeef).U64(1ull << 63).Blob("abc").Put(Digest()).Take();
  CanonicalReader reader(bytes);
  EXPECT_EQ(reader.U8().value(), 7);
  EXPECT_EQ(reader.U32().value(), 0xdeadbeef);
  EXPECT_EQ(reader.U64().value(), 1ull << 63);
  EXPECT_EQ(reader.Blob().value(), "abc");
  EXPECT_EQ(reader.TakeDigest().value(), Digest());
  EXPECT_TRUE(reader.Finish().ok());
}

TEST(CanonicalTest, ReportsEveryTruncationAndAnyExcess) {
  const Bytes bytes = CanonicalWriter().U32(3).Blob("abcdef").Take();
  for (size_t size = 0; size < bytes.size(); ++size) {
    CanonicalReader reader(ByteView(bytes).substr(0, size));
    const bool whole = reader.U32().ok() && reader.Blob().ok();
    EXPECT_FALSE(whole) << size;
  }
  CanonicalReader reader(bytes);
  EXPECT_EQ(reader.Finish().code(), absl::StatusCode::kDataLoss);
}

TEST(CanonicalTest, AHugeLengthIsAnErrorAndNotAnAllocation) {
  const Bytes bytes = CanonicalWriter().U64(~0ull).Take();
  EXPECT_EQ(CanonicalReader(bytes).Blob().status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cloister
