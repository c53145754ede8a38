// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/manifest.h"

#include <gtest/gtest.h>

#include "site_agent/cohort/cohort_report.h"

namespace cloister::site {
namespace {

TEST(CohortManifestTest, ReadsBackAsItself) {
  const ManifestCase one{"c0123456789abcdef", "p0123456789abcdef", "A1", "2.25.1", "2.25.1.1", {}, true,
                         CohortSplit::kTest};
  const Bytes document = ManifestDocument({"chest_pneumonia", {one}});
  const absl::StatusOr<CohortManifest> manifest = ParseManifest(document);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(ManifestDocument(*manifest), document);
}

TEST(CohortManifestTest, RefusesValuesOfAnotherType) {
  for (const char* bad :
       {"", "[]", "{}", R"({"manifest":"1","task":"t","cases":[]})", R"({"manifest":1,"task":1,"cases":[]})",
        R"({"manifest":1,"task":"t","cases":{}})", R"({"manifest":1,"task":"t","cases":[1]})"}) {
    EXPECT_EQ(ParseManifest(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(CohortReportTest, ValuesOfAnotherTypeCountAsMissing) {
  const absl::StatusOr<CohortReport> report = ParseCohortReport(
      R"({"task":1,"found":"7","patients":3,"studies":[],"image_rejections":"none","label_findings":1})");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->task, "");
  EXPECT_EQ(report->found, 0);
  EXPECT_EQ(report->patients, 3);
  EXPECT_TRUE(report->studies.empty() && report->image_rejections.empty() && report->rows.empty());
}

}  // namespace
}  // namespace cloister::site
