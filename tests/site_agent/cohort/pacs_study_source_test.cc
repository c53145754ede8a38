// SPDX-License-Identifier: Apache-2.0
// A PACS that fails on one study, over the wire.

#include "site_agent/cohort/pacs_study_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/site_agent/cohort/stub_pacs.h"
#include "tests/support/make_dicom.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

PacsStudySource SourceFor(const testing::StubPacs& pacs) {
  PacsConfig config;
  config.host = "127.0.0.1";
  config.port = pacs.port();
  config.called_ae_title = "STUB";
  config.calling_ae_title = "CLOISTER";
  return PacsStudySource(*PacsClient::Create(config), /*scp=*/nullptr);
}

TEST(PacsStudySourceTest, AHangUpOverOneStudyIsNotARefusalOfUs) {
  const testing::TempDir dir;
  testing::GreyFile grey;
  grey.study_instance_uid = "2.25.1";
  ASSERT_TRUE(testing::MakeDicom(grey, dir.path() / "film.dcm"));
  testing::StubPacs::Study good;
  good.file = dir.path() / "film.dcm";
  testing::StubPacs::Study damaged;
  damaged.hang_up = true;
  const testing::StubPacs pacs({{"2.25.1", good}, {"2.25.2", damaged}});
  PacsStudySource source = SourceFor(pacs);

  const absl::Status hung_up = source.RetrieveStudy("2.25.2", dir.path() / "two").status();
  EXPECT_EQ(hung_up.code(), absl::StatusCode::kAborted) << hung_up;
  EXPECT_THAT(std::string(hung_up.message()), HasSubstr("'CLOISTER'"));
  EXPECT_TRUE(source.Check().ok()) << source.Check();
  const auto study = source.RetrieveStudy("2.25.1", dir.path() / "one");
  ASSERT_TRUE(study.ok()) << study.status();
  EXPECT_THAT(study->files, SizeIs(1));
  EXPECT_EQ(study->missing, "");
}

TEST(PacsStudySourceTest, FailedSubOperationsAreMissed) {
  const testing::TempDir dir;
  testing::GreyFile grey;
  grey.study_instance_uid = "2.25.1";
  ASSERT_TRUE(testing::MakeDicom(grey, dir.path() / "film.dcm"));
  testing::StubPacs::Study part;
  part.file = dir.path() / "film.dcm";
  part.failed = 2;
  const testing::StubPacs pacs({{"2.25.1", part}});
  PacsStudySource source = SourceFor(pacs);
  const auto study = source.RetrieveStudy("2.25.1", dir.path() / "one");
  ASSERT_TRUE(study.ok()) << study.status();
  EXPECT_THAT(study->files, SizeIs(1));
  EXPECT_THAT(study->missing, HasSubstr("1 instances came, 2 failed"));
}

}  // namespace
}  // namespace cloister::site
