// SPDX-License-Identifier: Apache-2.0
// The table as data, and the project's file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "site_agent/deidentify/profile_file.h"
#include "site_agent/deidentify/profile_table.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

TEST(ProfileTableTest, Edition2024bHas621Attributes) {
  const auto table = ProfileTable::OfEdition("2024b");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->rules().size(), 621u);
  EXPECT_EQ((*table)->Find(0x0010, 0x0010)->keyword, "PatientName");
  EXPECT_EQ((*table)->Find(0x0010, 0x0010)->basic, "Z");
  EXPECT_EQ((*table)->Find(0x0008, 0x0020)->options.at(DeidentifyOption::kModifiedDates), 'C');
  EXPECT_EQ((*table)->Find(0x0010, 0x0040)->options.at(DeidentifyOption::kPatientCharacteristics), 'K');
  EXPECT_EQ((*table)->Find(0x0018, 0x1000)->options.at(DeidentifyOption::kDeviceIdentity), 'K');
  EXPECT_EQ((*table)->Find(0x0028, 0x0010), nullptr);  // Rows
  EXPECT_EQ((*table)->Find(0x0009, 0x1001)->keyword, "PrivateAttributes");
  EXPECT_EQ((*table)->Find(0x601e, 0x3000)->keyword, "OverlayData");
  EXPECT_EQ((*table)->Find(0x6002, 0x0010), nullptr);  // OverlayRows
  EXPECT_EQ((*table)->Find(0x5004, 0x0110)->keyword, "CurveData");
}

TEST(ProfileTableTest, AnUnknownEditionSaysWhichThereAre) {
  const auto table = ProfileTable::OfEdition("1998a");
  EXPECT_EQ(table.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(table.status().message()), HasSubstr("2024b"));
}

TEST(ProfileTableTest, EveryMistakeInATableIsNamedByItsLine) {
  const std::string last = "odd,eeee X C - - - - - - - - - PrivateAttributes\n";
  const std::string good = "0010,0010 Z - - - - - - - - - - PatientName\n";
  EXPECT_TRUE(ProfileTable::Parse("# a comment\n\n" + good + last).ok());
  for (const char* bad :
       {"0010,0010 Q - - - - - - - - - - PatientName\n", "0010,001 Z - - - - - - - - - - PatientName\n",
        "0010,001g Z - - - - - - - - - - PatientName\n", "0010,0011 Z - - - - Y - - - - - PatientName\n",
        "0010,0011 Z - - - - - - - - - PatientName\n", "0010,0011 Z - - - - - - - - - - A B\n",
        "0010,0010 X - - - - - - - - - - PatientName\n"}) {
    const auto table = ProfileTable::Parse(good + bad + last);
    EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(table.status().message()), HasSubstr("line 2")) << bad;
  }
  EXPECT_FALSE(ProfileTable::Parse(good).ok());  // no word about private attributes
}

TEST(ProfileFileTest, AsAProjectWritesIt) {
  const auto profile = ParseDeidentifyProfile(R"(
edition: 2024b
options: [modified_dates, patient_characteristics]
descriptor_words: [pneumonia, 平扫]
burned_in:
  - {modality: US, manufacturer: Acme, model: E9, rows: 600, columns: 800, regions: ["0 0 800 60", "700 60 100 40"]}
  - {modality: DX}
)",
                                              "project.yaml");
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_THAT(profile->options,
              UnorderedElementsAre(DeidentifyOption::kModifiedDates, DeidentifyOption::kPatientCharacteristics));
  ASSERT_EQ(profile->burned_in.size(), 2u);
  EXPECT_EQ(profile->burned_in[0].regions[1].left, 700);
  EXPECT_EQ(profile->burned_in[0].regions[1].height, 40);
  EXPECT_TRUE(ParseDeidentifyProfile("{}", "p").ok());
}

TEST(ProfileFileTest, MistakesAreNamed) {
  for (const auto& [text, problem] : {std::pair{"edition: 1998a", "2024b"},
                                      {"options: [keep_all]", "keep_all"},
                                      {"options: [modified_date]", "modified_dates"},
                                      {"burned_in: [{regions: [\"0 0 1 1\"]}]", "modality"},
                                      {"burned_in: [{modality: US, regions: [\"0 0 0 5\"]}]", "left top width height"},
                                      {"burned_in: [{modality: US, regions: [\"0 0 5\"]}]", "left top width height"},
                                      {"burnt: []", "burnt"}}) {
    const auto profile = ParseDeidentifyProfile(text, "project.yaml");
    EXPECT_EQ(profile.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(profile.status().message()), HasSubstr(problem)) << text;
    EXPECT_THAT(std::string(profile.status().message()), HasSubstr("project.yaml:")) << text;
  }
}

}  // namespace
}  // namespace cloister::site
