// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/file.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace cloister {
namespace {

TEST(FileTest, ReadsWhatWasWrittenAndLeavesNoTemporaryFile) {
  const testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "a", "one").ok());
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "a", Bytes("t\0o", 3)).ok());
  EXPECT_EQ(ReadFile(dir.path() / "a").value(), Bytes("t\0o", 3));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(FileTest, NamesTheFileInEveryError) {
  const testing::TempDir dir;
  const auto missing = ReadFile(dir.path() / "missing");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(std::string(missing.status().message()).find("missing"), std::string::npos);
  EXPECT_EQ(ReadFile(dir.path()).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(FileTest, RefusesMoreThanTheLimit) {
  const testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "a", "12345").ok());
  EXPECT_EQ(ReadFile(dir.path() / "a", 4).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(FileTest, AFullDiskIsReportedAndTheOldFileStays) {
  EXPECT_EQ(ErrnoStatus(ENOSPC, "cannot write", "x").code(), absl::StatusCode::kResourceExhausted);
  const testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "a", "old").ok());
  EXPECT_FALSE(WriteFileAtomically(dir.path() / "a" / "b", "new").ok());
  EXPECT_EQ(ReadFile(dir.path() / "a").value(), "old");
}

}  // namespace
}  // namespace cloister
