// SPDX-License-Identifier: Apache-2.0
// Results for sources of several modalities and character sets: valid by dciodvfy, in the right study, repeatable.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmsr/dsrdoc.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "protocols/base/file.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/serve/result_sr.h"
#include "site_agent/serve/result_uid.h"
#include "site_agent/serve/secondary_capture.h"
#include "tests/support/make_dicom.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using testing::GreyFile;
using ::testing::HasSubstr;
using testing::MakeDicom;
using ::testing::Not;

// What dciodvfy says, one complaint a line; "" when it is not installed.
std::string Dciodvfy(const std::filesystem::path& file) {
  std::string said;
  FILE* pipe = popen(("dciodvfy '" + file.string() + "' 2>&1").c_str(), "r");
  std::array<char, 512> line{};
  while (pipe != nullptr && fgets(line.data(), line.size(), pipe) != nullptr) {
    said += line.data();
  }
  if (pipe != nullptr) {
    pclose(pipe);
  }
  return said;
}

bool HasDciodvfy() {
  return access("/usr/bin/dciodvfy", X_OK) == 0;
}

class ResultTest : public ::testing::Test {
 protected:
  ReleaseIdentity Release() const { return {"chest-pneumonia", "1.2.0.3", "cloister 0.1.0", DeviceUid(Digest())}; }
  static ClassificationResult Result() { return {{"233604007", "SCT", "Pneumonia"}, 0.834, 0.41, true}; }
  static CapturePage Page() { return {20, 30, std::string(20 * 30 * 3, '\x40')}; }
  absl::Time when_ = absl::FromUnixSeconds(1'770'000'000);
  std::filesystem::path Out() const { return folder_.path() / "out"; }
  std::filesystem::path Source(const GreyFile& grey) {
    EXPECT_TRUE(MakeDicom(grey, folder_.path() / "source.dcm"));
    return folder_.path() / "source.dcm";
  }
  void ExpectValid(const std::filesystem::path& file) {
    if (HasDciodvfy()) {
      EXPECT_THAT(Dciodvfy(file), Not(HasSubstr("Error"))) << file;
    } else {
      std::cout << "[ skipped ] dciodvfy is not installed (Debian: dicom3tools)\n";
    }
  }
  testing::TempDir folder_;
};

TEST_F(ResultTest, ReportIsComprehensive3DInTheSameStudy) {
  const auto source = Source(GreyFile());
  const auto written = WriteResultSr(source, Release(), Result(), when_, Out());
  ASSERT_TRUE(written.ok()) << written.status();
  const auto header = ReadHeader(written->path);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->sop_class_uid, UID_Comprehensive3DSRStorage);
  EXPECT_EQ(header->modality, "SR");
  EXPECT_EQ(header->study_instance_uid, "2.25.100");
  EXPECT_NE(header->series_instance_uid, "2.25.100.1");
  EXPECT_EQ(header->accession_number, "A1");
  EXPECT_EQ(header->patient_id, "P1");
  EXPECT_EQ(header->patient_birth_date, "19700131");
  EXPECT_EQ(header->patient_age, "054Y");
  EXPECT_EQ(header->study_date, "20240229");
  EXPECT_EQ(header->manufacturer, "Cloister");
  ExpectValid(written->path);

  DcmFileFormat file;
  ASSERT_TRUE(file.loadFile(written->path.c_str()).good());
  DSRDocument document;
  ASSERT_TRUE(document.read(*file.getDataset()).good());
  EXPECT_EQ(document.getDocumentType(), DSRTypes::DT_Comprehensive3DSR);
  EXPECT_EQ(document.getVerificationFlag(), DSRTypes::VF_Unverified);
  EXPECT_EQ(document.getCompletionFlag(), DSRTypes::CF_Complete);
  DSRDocumentTree& tree = document.getTree();
  std::vector<std::string> numbers;
  int algorithm_names = 0;
  for (size_t node = tree.gotoRoot(); node != 0; node = tree.iterate()) {
    const DSRContentItem& item = tree.getCurrentContentItem();
    if (item.getValueType() == DSRTypes::VT_Num) {
      numbers.push_back(std::string(item.getConceptName().getCodeMeaning().c_str()) + "=" +
                        item.getNumericValue().getNumericValue().c_str());
    }
    if (item.getConceptName().getCodeValue() == "111001") {
      ++algorithm_names;
      EXPECT_EQ(item.getStringValue(), "chest-pneumonia");
    }
  }
  EXPECT_THAT(numbers, ::testing::ElementsAre("Certainty of Finding=83.4", "Operating point=41.0"));
  EXPECT_GE(algorithm_names, 1);

  DcmItem* equipment = nullptr;
  ASSERT_TRUE(file.getDataset()->findAndGetSequenceItem(DCM_ContributingEquipmentSequence, equipment).good());
  OFString uid;
  EXPECT_TRUE(equipment->findAndGetOFString(DCM_DeviceUID, uid).good());
  EXPECT_EQ(uid.c_str(), Release().device_uid);
  EXPECT_TRUE(file.getDataset()->findAndGetOFString(DCM_DeviceUID, uid).good());
  EXPECT_EQ(uid.c_str(), Release().device_uid);
}

TEST_F(ResultTest, AnExamThatWasNotAnalysedSaysWhy) {
  const auto written =
      WriteNotAnalysedSr(Source(GreyFile()), Release(), {"TRUNCATED", "PixelData ends early"}, when_, Out());
  ASSERT_TRUE(written.ok()) << written.status();
  ExpectValid(written->path);
  const auto bytes = ReadFile(written->path);
  ASSERT_TRUE(bytes.ok());
  EXPECT_THAT(*bytes, HasSubstr("TRUNCATED: PixelData ends early"));
  EXPECT_FALSE(WriteNotAnalysedSr(Source(GreyFile()), Release(), {"", "x"}, when_, Out()).ok());
}

TEST_F(ResultTest, CaptureIsValidAndHoldsThePage) {
  const auto written = WriteSecondaryCapture(Source(GreyFile()), Release(), Page(), when_, Out());
  ASSERT_TRUE(written.ok()) << written.status();
  ExpectValid(written->path);
  const auto header = ReadHeader(written->path);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->sop_class_uid, UID_SecondaryCaptureImageStorage);
  EXPECT_EQ(header->study_instance_uid, "2.25.100");
  EXPECT_EQ(header->rows, 20);
  EXPECT_EQ(header->columns, 30);
  DcmFileFormat file;
  ASSERT_TRUE(file.loadFile(written->path.c_str()).good());
  OFString burned;
  file.getDataset()->findAndGetOFString(DCM_BurnedInAnnotation, burned);
  EXPECT_EQ(burned, "YES");
}

TEST_F(ResultTest, NamesSurviveByteForByteInEveryCharacterSet) {
  struct Case {
    const char* charset;
    const char* name;
  };
  const Case cases[] = {{"GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"},
                        {"GBK", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"},
                        {"ISO_IR 192", "Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe4\xb8\x9c"},
                        {"ISO_IR 100", "M\xfcller^J\xf6rg"},
                        {"ISO_IR 144", "\xbb\xee\xda\x63\x65\xdc\xd1\x79\x70\xd3"},
                        {"", "Doe^John"}};
  for (const Case& c : cases) {
    for (const char* sop_class : {UID_DigitalXRayImageStorageForPresentation, UID_ComputedRadiographyImageStorage}) {
      GreyFile grey;
      grey.sop_class_uid = sop_class;
      grey.modality = sop_class == std::string(UID_ComputedRadiographyImageStorage) ? "CR" : "DX";
      grey.specific_character_set = c.charset;
      grey.patient_name = c.name;
      const auto source = Source(grey);
      const auto report = WriteResultSr(source, Release(), Result(), when_, Out());
      const auto refusal =
          WriteNotAnalysedSr(source, Release(), {"TOO_LARGE", "17000 × 17000 像素"}, when_, Out() / "n");
      const auto capture = WriteSecondaryCapture(source, Release(), Page(), when_, Out());
      ASSERT_TRUE(report.ok()) << c.charset << report.status();
      ASSERT_TRUE(refusal.ok()) << c.charset << refusal.status();
      ASSERT_TRUE(capture.ok()) << c.charset << capture.status();
      for (const auto& path : {report->path, refusal->path, capture->path}) {
        const auto header = ReadHeader(path);
        ASSERT_TRUE(header.ok()) << header.status();
        EXPECT_EQ(header->patient_name, c.name) << c.charset;
        EXPECT_EQ(header->specific_character_set, c.charset);
        if (c.charset != std::string("GBK")) {  // a defined term since 2013 that dicom3tools does not know
          ExpectValid(path);
        }
      }
    }
  }
}

TEST_F(ResultTest, ARepeatedAnswerIsTheSameObject) {
  const auto source = Source(GreyFile());
  const auto first = WriteResultSr(source, Release(), Result(), when_, Out());
  const auto again = WriteResultSr(source, Release(), Result(), when_, Out());
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(first->path, again->path);
  EXPECT_EQ(first->series_instance_uid, again->series_instance_uid);
  const auto capture = WriteSecondaryCapture(source, Release(), Page(), when_, Out());
  ASSERT_TRUE(capture.ok());
  EXPECT_NE(capture->sop_instance_uid, first->sop_instance_uid);
  EXPECT_NE(capture->series_instance_uid, first->series_instance_uid);
  ReleaseIdentity next = Release();
  next.device_uid = DeviceUid(*Digest::FromHex(std::string(64, '1')));
  const auto other = WriteResultSr(source, next, Result(), when_, Out());
  ASSERT_TRUE(other.ok());
  EXPECT_NE(other->sop_instance_uid, first->sop_instance_uid);
}

TEST_F(ResultTest, BadArgumentsAreRefused) {
  const auto source = Source(GreyFile());
  const auto code = [](const auto& result) { return result.status().code(); };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  ClassificationResult result = Result();
  result.score = 1.5;
  EXPECT_EQ(code(WriteResultSr(source, Release(), result, when_, Out())), kInvalid);
  result = Result();
  result.threshold = std::nan("");
  EXPECT_EQ(code(WriteResultSr(source, Release(), result, when_, Out())), kInvalid);
  result = Result();
  result.finding.code_meaning = "";
  EXPECT_EQ(code(WriteResultSr(source, Release(), result, when_, Out())), kInvalid);
  ReleaseIdentity release = Release();
  release.device_uid = "not a uid";
  EXPECT_EQ(code(WriteResultSr(source, release, Result(), when_, Out())), kInvalid);
  release = Release();
  release.algorithm_version = "";
  EXPECT_EQ(code(WriteResultSr(source, release, Result(), when_, Out())), kInvalid);
  EXPECT_EQ(code(WriteResultSr(folder_.path() / "none", Release(), Result(), when_, Out())), kInvalid);
  CapturePage page = Page();
  page.rgb.pop_back();
  EXPECT_EQ(code(WriteSecondaryCapture(source, Release(), page, when_, Out())), kInvalid);
  page = {0, 0, ""};
  EXPECT_EQ(code(WriteSecondaryCapture(source, Release(), page, when_, Out())), kInvalid);
}

TEST_F(ResultTest, ASourceWithAlmostNothingStillGetsItsResult) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) {
    for (const DcmTagKey& tag :
         {DCM_PatientName, DCM_PatientID, DCM_PatientBirthDate, DCM_PatientSex, DCM_StudyDate, DCM_StudyTime,
          DCM_ReferringPhysicianName, DCM_StudyID, DCM_AccessionNumber, DCM_Modality, DCM_InstanceNumber}) {
      data.findAndDeleteElement(tag);
    }
  };
  const auto source = Source(grey);
  const auto report = WriteResultSr(source, Release(), Result(), when_, Out());
  ASSERT_TRUE(report.ok()) << report.status();
  const auto capture = WriteSecondaryCapture(source, Release(), Page(), when_, Out());
  ASSERT_TRUE(capture.ok()) << capture.status();
}

TEST_F(ResultTest, RealHeadersOfFourHospitals) {
  const auto folder = testing::SharedData() / "dicom_sites";
  if (!std::filesystem::exists(folder / "labels.csv")) {
    GTEST_SKIP() << "no dicom_sites at " << folder << " (set CLOISTER_DATA)";
  }
  std::map<std::string, int> per_site;
  for (const auto& row : testing::ReadTable(folder / "labels.csv")) {
    const auto path = folder / row.at("file");
    if (!std::filesystem::exists(path) || ++per_site[row.at("site")] > 2) {
      continue;
    }
    const auto report = WriteResultSr(path, Release(), Result(), when_, Out());
    ASSERT_TRUE(report.ok()) << path << report.status();
    ExpectValid(report->path);
    const auto capture = WriteSecondaryCapture(path, Release(), Page(), when_, Out());
    ASSERT_TRUE(capture.ok()) << path << capture.status();
    ExpectValid(capture->path);
    EXPECT_EQ(ReadHeader(report->path)->patient_name, ReadHeader(path)->patient_name);
  }
  EXPECT_GE(per_site.size(), 4u);
}

TEST(ResultUidTest, KnownValuesAndShape) {
  // 00000000-0000-8000-8000-000000000000 as a number: 0x8000 << 64 | 0x8000 << 48.
  EXPECT_EQ(UidFromDigest(Digest()), "2.25.604472133179351442128896");
  EXPECT_TRUE(IsValidUid(DeviceUid(*Digest::FromHex(std::string(64, 'f')))));
  EXPECT_EQ(UidFromDigest(*Digest::FromHex(std::string(64, 'f'))), "2.25.340282366920937934553716840013076889599");
  EXPECT_NE(DeviceUid(Digest()), UidFromDigest(Digest()));
}

}  // namespace
}  // namespace cloister::site
