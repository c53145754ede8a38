// SPDX-License-Identifier: Apache-2.0
// Films, tables and both programs' folders: deterministic, valid DICOM, told apart by their opacities.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "deploy/phantoms/film.h"
#include "deploy/phantoms/study_folder.h"
#include "deploy/phantoms/text_table.h"
#include "protocols/base/file.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/dicom_image.h"
#include "tests/support/temp_dir.h"

namespace cloister::phantoms {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

absl::StatusOr<TextTable> Parse(const std::string& text) {
  testing::TempDir folder;
  std::ofstream(folder.path() / "t.csv", std::ios::binary) << text;
  return ReadTextTable(folder.path() / "t.csv");
}

TEST(TextTableTest, ReadsQuotesBlankLinesAndLineNumbers) {
  const auto table = Parse(
      "\xef\xbb\xbf"
      "a,b\r\n1,\"x, \"\"y\"\"\nz\"\n\n3,4");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(table->names, ElementsAre("a", "b"));
  ASSERT_THAT(table->rows, SizeIs(2));
  EXPECT_THAT(table->rows[0].cells, ElementsAre("1", "x, \"y\"\nz"));
  EXPECT_EQ(table->rows[0].line, 2);
  EXPECT_EQ(table->rows[1].line, 5);
  EXPECT_THAT(std::string(table->Column("c").status().message()), HasSubstr("there are: a, b"));
}

TEST(TextTableTest, BadTablesNameTheLine) {
  EXPECT_THAT(std::string(Parse("a,b\n1,2\n1,2,3\n").status().message()), HasSubstr("t.csv:3:"));
  EXPECT_THAT(std::string(Parse("a,b\n1,\"2\n").status().message()), HasSubstr("t.csv:2:"));
  EXPECT_THAT(std::string(Parse("a,a\n").status().message()), HasSubstr("twice"));
  EXPECT_FALSE(Parse("").ok());
  EXPECT_FALSE(Parse("\n\n").ok());
}

TEST(TextTableTest, WritesWhatItReads) {
  const std::vector<std::string> cells = {"", "plain", "a,b", "say \"x\"", "two\nlines"};
  const auto table = Parse("1,2,3,4,5\n" + TextLine(cells));
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_THAT(table->rows, SizeIs(1));
  EXPECT_EQ(table->rows[0].cells, cells);
}

TEST(FilmTest, SameSeedSamePixelsAndOpacitiesWhereTheTruthSays) {
  const Hospital& hospital = *FindHospital("north");
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Random people(seed, "person");
    const Anatomy anatomy = DrawAnatomy(people);
    Random first(seed, "film");
    Random second(seed, "film");
    const Film film = DrawFilm(hospital, anatomy, true, false, first);
    EXPECT_EQ(Digitise(hospital, film.grey), Digitise(hospital, DrawFilm(hospital, anatomy, true, false, second).grey));
    ASSERT_FALSE(film.opacities.empty());
    for (const Opacity& opacity : film.opacities) {
      EXPECT_TRUE(opacity.x > 0.05 && opacity.x < 0.95 && opacity.y > 0.05 && opacity.y < 0.95);
    }
    Random third(seed, "film");
    EXPECT_TRUE(DrawFilm(hospital, anatomy, false, false, third).opacities.empty());
  }
}

TEST(FilmTest, EveryHospitalStaysWithinItsBits) {
  for (const Hospital& hospital : BuiltInHospitals()) {
    Random random(3, hospital.name);
    const Film film = DrawFilm(hospital, DrawAnatomy(random), true, true, random);
    EXPECT_EQ(film.grey.rows, hospital.rows);
    for (const uint16_t value : Digitise(hospital, film.grey)) {
      ASSERT_LT(value, 1 << hospital.bits_stored) << hospital.name;
    }
  }
}

TEST(StudyFolderTest, WritesStudiesThatReadBack) {
  testing::TempDir out;
  for (const Hospital& hospital : BuiltInHospitals()) {
    auto folder = StudyFolder::Create(out.path() / hospital.name, hospital.name);
    ASSERT_TRUE(folder.ok()) << folder.status();
    Random random(3, hospital.name);
    const Film film = DrawFilm(hospital, DrawAnatomy(random), true, false, random);
    site::FilmPatient patient;
    patient.id = folder->PatientId("somebody");
    patient.sex = "F";
    patient.name = InventName(hospital.chinese_names, "F", 1);
    site::FilmStudy study;
    folder->Identify("study 1", &study);
    const StudyMoment moment = MomentFrom(study.accession_number);
    study.date = moment.date;
    study.time = moment.time;
    study.modality = hospital.modality;
    study.specific_character_set = hospital.specific_character_set;
    patient.birth_date = BirthDate(moment.date, 600, patient.id);
    site::FilmPixels pixels;
    pixels.rows = hospital.rows;
    pixels.columns = hospital.columns;
    pixels.bits_stored = hospital.bits_stored;
    pixels.monochrome1 = hospital.monochrome1;
    pixels.window_width = 1 << hospital.bits_stored;
    pixels.window_center = pixels.window_width / 2;
    pixels.grey = Digitise(hospital, film.grey);
    const absl::Status written = folder->Write(patient, study, pixels);
    ASSERT_TRUE(written.ok()) << written;
    folder->AddLabel(study.accession_number, "pneumonia", "x");
    ASSERT_TRUE(folder->Finish().ok());

    const auto path = out.path() / hospital.name / "dicom" / patient.id / (study.accession_number + ".dcm");
    const auto header = site::ReadHeader(path);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(site::ToUtf8(header->patient_name, header->specific_character_set), patient.name);
    EXPECT_LE(header->accession_number.size(), 16u);
    EXPECT_LT(header->patient_birth_date, header->study_date);
    const auto outcome = site::DecodeGrayscale(path);
    const auto* image = std::get_if<site::DecodedImage>(&outcome);
    ASSERT_NE(image, nullptr) << std::get<site::Rejection>(outcome).message;
    // As displayed it is the drawn film again, up to exposure and rounding: the corner is dark, the spine bright.
    EXPECT_LT(image->pixels.front(), 0.3f) << hospital.name;
    EXPECT_GT(image->pixels[static_cast<size_t>(image->rows / 2) * image->columns + image->columns / 2], 0.5f);
  }
}

TEST(StudyFolderTest, IdentitiesAreStableAndDiffer) {
  testing::TempDir out;
  const auto a = StudyFolder::Create(out.path(), "north");
  const auto b = StudyFolder::Create(out.path(), "south");
  ASSERT_TRUE(a.ok() && b.ok());
  site::FilmStudy one, again, other, elsewhere;
  a->Identify("1", &one);
  a->Identify("1", &again);
  a->Identify("2", &other);
  b->Identify("1", &elsewhere);
  EXPECT_EQ(one.accession_number, again.accession_number);
  EXPECT_EQ(one.study_instance_uid, again.study_instance_uid);
  EXPECT_NE(one.accession_number, other.accession_number);
  EXPECT_NE(one.study_instance_uid, elsewhere.study_instance_uid);
  EXPECT_FALSE(StudyFolder::Create(out.path(), "Not An Id").ok());
}

}  // namespace
}  // namespace cloister::phantoms
