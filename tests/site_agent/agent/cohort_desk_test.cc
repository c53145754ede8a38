// SPDX-License-Identifier: Apache-2.0
// Images that take the worker down, and what is left of a cohort then.

#include "site_agent/agent/cohort_desk.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "tests/site_agent/agent/test_federation.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;

class CohortDeskTest : public ::testing::Test {
 protected:
  CohortDeskTest() : site_(*federation_.sites[0]), good_(site_.pacs.studies.size()) { site_.Kill(); }

  absl::StatusOr<PreparedCohort> Prepare() {
    return site_.context().cohorts->Prepare(federation_.plan.task, transport::StopSource());
  }
  StudyCatalogueRow Study(int number) {
    const std::vector<StudyCatalogueRow> rows = site_.store().cohorts().Studies("chest_pneumonia").value();
    for (const StudyCatalogueRow& row : rows) {
      if (row.study_instance_uid == fmt::format("1.2.826.0.1.{}", number)) {
        return row;
      }
    }
    return {};
  }

  TestFederation federation_;
  SiteHarness& site_;
  const size_t good_;
};

TEST_F(CohortDeskTest, AnImageThatKillsTheWorkerIsLeftOut) {
  site_.pacs.Add(9001, true, "CRASH");
  site_.pacs.Add(9002, false, "MEMORY");
  site_.pacs.Add(9003, false, "BAD");
  site_.Start();
  auto cohort = Prepare();
  ASSERT_TRUE(cohort.ok()) << cohort.status();
  EXPECT_EQ(cohort->draft.cases.size(), good_);
  EXPECT_EQ(cohort->draft.report.usable(), static_cast<int>(good_));
  EXPECT_EQ(cohort->draft.report.image_rejections.at(kImageKilledDecoder), 2);
  EXPECT_EQ(cohort->draft.report.image_rejections.at("DECODE_FAILED"), 1);
  EXPECT_EQ(Study(9001).outcome, "IMAGE_REJECTED");
  EXPECT_EQ(Study(9001).message, kImageKilledDecoder);
  EXPECT_TRUE(std::filesystem::exists(cohort->prepared / "prepared.json"));
  EXPECT_EQ(site_.Runs("prepare"), 4);  // twice for the crash, once for the memory, once well

  // The next build does not show them to a worker again, and still counts them.
  cohort = Prepare();
  ASSERT_TRUE(cohort.ok()) << cohort.status();
  EXPECT_EQ(cohort->draft.report.image_rejections.at(kImageKilledDecoder), 2);
  EXPECT_EQ(cohort->draft.report.studies.at(StudyOutcome::kImageRejected), 3);
  EXPECT_EQ(site_.Runs("prepare"), 4);

  // A week later they get another chance.
  federation_.clock.Advance(absl::Hours(7 * 24));
  cohort = Prepare();
  ASSERT_TRUE(cohort.ok()) << cohort.status();
  EXPECT_EQ(cohort->draft.cases.size(), good_);
  EXPECT_EQ(site_.Runs("prepare"), 7);
}

TEST_F(CohortDeskTest, AnImageThatHangsTheWorkerIsLeftOut) {
  site_.pacs.Add(9001, true, "HANG");
  site_.worker_time = absl::Seconds(3);
  site_.Start();
  const auto cohort = Prepare();
  ASSERT_TRUE(cohort.ok()) << cohort.status();
  EXPECT_EQ(cohort->draft.cases.size(), good_);
  EXPECT_EQ(Study(9001).message, kImageKilledDecoder);
}

TEST_F(CohortDeskTest, AWorkerThatDiesBeforeAnyImageRejectsNone) {
  site_.worker_environment["CLOISTER_FAKE_CRASH"] = "prepare";
  site_.Start();
  const absl::Status status = Prepare().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("CRASHED"));
  EXPECT_EQ(site_.Runs("prepare"), 2);
}

// A worker that is itself broken must not cost a site its whole cohort.
TEST_F(CohortDeskTest, AWorkerThatDiesAtEveryImageEndsTheBuild) {
  for (FakeStudy& study : site_.pacs.studies) {
    study.content = "MEMORY";
  }
  site_.Start();
  EXPECT_EQ(Prepare().status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(site_.Runs("prepare"), 21);
  const std::vector<StudyCatalogueRow> rows = site_.store().cohorts().Studies("chest_pneumonia").value();
  for (const StudyCatalogueRow& row : rows) {
    EXPECT_EQ(row.outcome, "USABLE");
  }
}

TEST_F(CohortDeskTest, ManyBadImagesTakeMoreThanOneBuild) {
  for (int i = 0; i < 25; ++i) {
    site_.pacs.Add(9000 + i, false, "MEMORY");
  }
  site_.Start();
  EXPECT_EQ(Prepare().status().code(), absl::StatusCode::kInternal);
  const auto cohort = Prepare();
  ASSERT_TRUE(cohort.ok()) << cohort.status();
  EXPECT_EQ(cohort->draft.cases.size(), good_);
  EXPECT_EQ(cohort->draft.report.image_rejections.at(kImageKilledDecoder), 25);
}

}  // namespace
}  // namespace cloister::site
