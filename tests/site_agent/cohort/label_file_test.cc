// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/label_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister::site {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<LabelFile> Parse(const std::string& text) {
  plan::Label label;
  label.column = "label";
  label.positive = "pneumonia";
  label.negative = "normal";
  return ParseLabelFile(text, "labels.csv", "accession_number", label);
}

std::vector<std::string> Findings(const LabelFile& file) {
  std::vector<std::string> all;
  for (const LabelFinding& finding : file.findings) {
    all.push_back(std::string(LabelProblemName(finding.problem)) + ":" + std::to_string(finding.line));
  }
  return all;
}

TEST(LabelFileTest, ReadsWhatSpreadsheetsWrite) {
  for (const char* text : {"accession_number,label\nA1,pneumonia\nA2,normal\n",
                           "\xEF\xBB\xBFlabel;accession_number\r\npneumonia;A1\r\nnormal;A2\r\n",
                           "accession_number , note,label\n\"A1\",\"two\nlines, \"\"quoted\"\"\",pneumonia\nA2,,normal",
                           "accession_number,label\nA1,pneumonia\n\n\nA2,normal\n\n"}) {
    const auto file = Parse(text);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_EQ(file->by_accession.size(), 2u) << text;
    EXPECT_EQ(file->by_accession.at("A1").value, LabelValue::kPositive);
    EXPECT_EQ(file->by_accession.at("A2").value, LabelValue::kNegative);
    EXPECT_TRUE(file->findings.empty());
  }
}

TEST(LabelFileTest, ListsOddRowsByLineAndGoesOn) {
  const auto file = Parse(
      "accession_number,label\n"
      "A1,pneumonia\n"
      "A1,pneumonia\n"  // 3: duplicate
      "A2,normal\n"
      "A2,pneumonia\n"  // 5: conflicting
      ",normal\n"       // 6: no accession number
      "A3\n"            // 7: short
      "A4,perhaps\n");  // 8: no reference
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->rows, 7);
  EXPECT_FALSE(file->by_accession.at("A1").conflicting);
  EXPECT_TRUE(file->by_accession.at("A2").conflicting);
  EXPECT_THAT(Findings(*file),
              ElementsAre("DUPLICATE_ROW:3", "CONFLICTING_ROW:5", "NO_ACCESSION:6", "SHORT_ROW:7", "NO_REFERENCE:8"));
}

TEST(LabelFileTest, SaysWhichColumnIsMissingAndWhichThereAre) {
  const auto file = Parse("accession,label\nA1,normal\n");
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("no column \"accession_number\""));
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("accession, label"));
}

TEST(LabelFileTest, RefusesAnEmptyFileAndAnEndlessQuote) {
  EXPECT_FALSE(Parse("").ok());
  const auto file = Parse("accession_number,label\nA1,normal\n\"A2,normal\nA3,normal\n");
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("labels.csv:3"));
}

TEST(LabelFileTest, MessagesCarryNoValue) {
  const auto file = Parse("accession_number,label\nA1,normal\n\"CANARY^NAME,normal\n");
  EXPECT_THAT(std::string(file.status().message()), ::testing::Not(HasSubstr("CANARY")));
}

}  // namespace
}  // namespace cloister::site
