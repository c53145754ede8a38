// SPDX-License-Identifier: Apache-2.0
// Preparing images, and what is left to read when a codec does not come back.

#include "site_agent/worker/prepare.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "tests/site_agent/worker/example_task.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

plan::Task Task() {
  return plan::ParseTask(testing::ExampleTask().dump(), "task.yaml").value();
}

TEST(PrepareTest, SaysWhichCaseIsAtWork) {
  const cloister::testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "broken.dcm", "not DICOM").ok());
  // A pipe in place of the file keeps everything that is written to it.
  ASSERT_EQ(mkfifo((dir.path() / "decoding").c_str(), 0600), 0);
  const Descriptor pipe(open((dir.path() / "decoding").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(pipe.valid());
  const std::vector<std::filesystem::path> files = {dir.path() / "broken.dcm"};
  ProgressWriter progress;
  ASSERT_TRUE(Prepare({{{"c1", files}, {"c2", files}, {"c3", files}}}, Task(), dir.path(), progress).ok());
  char said[64] = {};
  ASSERT_GT(read(pipe.get(), said, sizeof(said) - 1), 0);
  EXPECT_STREQ(said, "c1c2c3");
}

TEST(PrepareTest, IsAtNoCaseWhenItIsDone) {
  const cloister::testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "broken.dcm", "not DICOM").ok());
  ProgressWriter progress;
  const auto counts = Prepare({{{"c1", {dir.path() / "broken.dcm"}}}}, Task(), dir.path(), progress);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->rejected, 1);
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "decoding"));
}

}  // namespace
}  // namespace cloister::site
