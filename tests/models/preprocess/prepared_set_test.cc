// SPDX-License-Identifier: Apache-2.0
// Prepared folders: round trip, rejected cases, and every way the two files can disagree.

#include "models/preprocess/prepared_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "protocols/base/file.h"
#include "tests/support/temp_dir.h"

namespace cloister::models {
namespace {

using ::testing::HasSubstr;

std::vector<uint8_t> Image(uint8_t value) {
  return std::vector<uint8_t>(8 * 9, value);
}

void Write(const std::filesystem::path& folder) {
  auto writer = PreparedSetWriter::Create(folder, 1, 8, 9, Digest());
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Add("a", Image(1)).ok());
  writer->Reject("b", "UNREADABLE", "not DICOM \xFF");
  ASSERT_TRUE(writer->Add("c", Image(3)).ok());
  EXPECT_EQ(writer->size(), 2);
  EXPECT_EQ(writer->rejected(), 1);
  ASSERT_TRUE(writer->Finish().ok());
}

TEST(PreparedSetTest, RoundTrip) {
  const testing::TempDir dir;
  Write(dir.path());
  const auto set = PreparedSet::Open(dir.path());
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->size(), 2);
  EXPECT_EQ(set->rows(), 8);
  EXPECT_EQ(set->columns(), 9);
  EXPECT_EQ(*set->RowOf("c"), 1);
  EXPECT_EQ(set->image(1)[71], 3);
  EXPECT_EQ(set->cases()[1].rejected, "UNREADABLE");
  EXPECT_EQ(set->RowOf("b").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(set->RowOf("z").status().code(), absl::StatusCode::kNotFound);
}

TEST(PreparedSetTest, MovesWithoutLosingTheMapping) {
  const testing::TempDir dir;
  Write(dir.path());
  PreparedSet first = *PreparedSet::Open(dir.path());
  PreparedSet second = std::move(first);
  EXPECT_EQ(second.image(0)[0], 1);
  first = std::move(second);
  EXPECT_EQ(first.image(1)[0], 3);
}

TEST(PreparedSetTest, AllCasesRejectedIsAnEmptySet) {
  const testing::TempDir dir;
  auto writer = PreparedSetWriter::Create(dir.path(), 1, 8, 8, Digest());
  writer->Reject("a", "BLANK", "");
  ASSERT_TRUE(writer->Finish().ok());
  const auto set = PreparedSet::Open(dir.path());
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->size(), 0);
}

TEST(PreparedSetTest, UnfinishedWritingLeavesNothingReadable) {
  const testing::TempDir dir;
  Write(dir.path());
  {
    auto writer = PreparedSetWriter::Create(dir.path(), 1, 8, 9, Digest());
    ASSERT_TRUE(writer->Add("a", Image(9)).ok());
  }
  EXPECT_EQ(PreparedSet::Open(dir.path()).status().code(), absl::StatusCode::kNotFound);
}

TEST(PreparedSetTest, RefusesPixelsThatAreCutOrLonger) {
  const testing::TempDir dir;
  for (int change : {-1, 1, -144}) {
    Write(dir.path());
    std::filesystem::resize_file(dir.path() / "prepared.u8", static_cast<uintmax_t>(144 + change));
    EXPECT_EQ(PreparedSet::Open(dir.path()).status().code(), absl::StatusCode::kDataLoss) << change;
  }
}

TEST(PreparedSetTest, RefusesMalformedIndexes) {
  const testing::TempDir dir;
  Write(dir.path());
  const std::string digest(64, '0');
  const auto refuses = [&](const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(dir.path() / "prepared.json", text).ok());
    const auto set = PreparedSet::Open(dir.path());
    EXPECT_EQ(set.status().code(), absl::StatusCode::kDataLoss) << text;
    EXPECT_THAT(std::string(set.status().message()), HasSubstr("prepared.json")) << text;
  };
  refuses("");
  refuses("[]");
  refuses("{\"shape\":[2,1,8,9]");
  refuses(R"({"shape":[2,1,8],"preprocessing":")" + digest + R"(","cases":[]})");
  refuses(R"({"shape":[2,1,8,-9],"preprocessing":")" + digest + R"(","cases":[]})");
  refuses(R"({"shape":[2,1,"8",9],"preprocessing":")" + digest + R"(","cases":[]})");
  refuses(R"({"shape":[9223372036854775807,3,4096,4096],"preprocessing":")" + digest + R"(","cases":[]})");
  refuses(R"({"shape":[2,1,8,9],"preprocessing":"00","cases":[]})");
  refuses(R"({"shape":[2,1,8,9],"preprocessing":")" + digest + R"(","cases":[{"case":"a","row":2}]})");
  refuses(R"({"shape":[2,1,8,9],"preprocessing":")" + digest + R"(","cases":[{"case":"a","row":-1}]})");
  refuses(R"({"shape":[2,1,8,9],"preprocessing":")" + digest + R"(","cases":[{"case":"a"}]})");
  refuses(R"({"shape":[2,1,8,9],"preprocessing":")" + digest +
          R"(","cases":[{"case":"a","row":0},{"case":"a","row":1}]})");
}

TEST(PreparedSetTest, NamesAMissingFolder) {
  const auto set = PreparedSet::Open("/nowhere/at/all");
  EXPECT_EQ(set.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(set.status().message()), HasSubstr("/nowhere/at/all"));
}

}  // namespace
}  // namespace cloister::models
