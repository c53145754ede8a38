// SPDX-License-Identifier: Apache-2.0
// Whole files: what identifies is gone, what is needed is there, and the pixels are the same but for what was blanked.

#include "site_agent/deidentify/deidentifier.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "site_agent/deidentify/pseudonyms.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/inspection.h"
#include "tests/support/make_dicom.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::ElementsAre;
using testing::GreyFile;
using ::testing::HasSubstr;
using ::testing::Not;

class DeidentifierTest : public ::testing::Test {
 protected:
  DeidentifierTest() : secret_(crypto::SecretBytes::CopyOf("a site secret of thirty-two bytes")) {}

  absl::StatusOr<DeidentifyCounts> Run(const DeidentifyProfile& profile) {
    return Deidentifier::Create(profile, &secret_)->File(in_, out_);
  }
  // Writes `grey`, de-identifies it and loads the outcome.
  DcmDataset& Apply(const GreyFile& grey, const DeidentifyProfile& profile = {}) {
    EXPECT_TRUE(testing::MakeDicom(grey, in_));
    const auto counts = Run(profile);
    EXPECT_TRUE(counts.ok()) << counts.status();
    file_ = std::make_unique<DcmFileFormat>();
    EXPECT_TRUE(file_->loadFile(out_.c_str()).good());
    return *file_->getDataset();
  }
  static std::string Text(DcmItem& item, const DcmTagKey& tag) {
    OFString value;
    item.findAndGetOFStringArray(tag, value);
    return std::string(value.c_str(), value.size());
  }
  std::vector<Uint16> Pixels() {
    const Uint16* words = nullptr;
    unsigned long count = 0;
    file_->getDataset()->findAndGetUint16Array(DCM_PixelData, words, &count);
    return std::vector<Uint16>(words, words + count);
  }
  static DeidentifyProfile With(std::initializer_list<DeidentifyOption> options) {
    DeidentifyProfile profile;
    profile.options = options;
    return profile;
  }

  crypto::SecretBytes secret_;
  testing::TempDir folder_;
  std::filesystem::path in_ = folder_.path() / "in.dcm";
  std::filesystem::path out_ = folder_.path() / "out.dcm";
  std::unique_ptr<DcmFileFormat> file_;
};

TEST_F(DeidentifierTest, BasicProfileOfAFilm) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) {
    data.putAndInsertString(DCM_StudyDescription, "Chest for Mr Doe");
    data.putAndInsertString(DcmTag(0x0009, 0x0010, EVR_LO), "ACME");
    data.putAndInsertString(DcmTag(0x0009, 0x1001, EVR_LO), "Doe^Jane");
    DcmItem* item = nullptr;
    data.findOrCreateSequenceItem(DCM_AnatomicRegionSequence, item);
    item->putAndInsertString(DcmTag(0x0009, 0x0010, EVR_LO), "ACME");
    item->putAndInsertString(DcmTag(0x0009, 0x1001, EVR_LO), "Doe^Jane");
    item->putAndInsertString(DCM_CodeMeaning, "Chest");
  };
  DcmDataset& data = Apply(grey);
  const Pseudonyms pseudonyms(&secret_);
  EXPECT_EQ(Text(data, DCM_PatientID), pseudonyms.Patient("P1"));
  EXPECT_EQ(Text(data, DCM_PatientName), pseudonyms.Patient("P1"));
  EXPECT_EQ(Text(data, DCM_StudyInstanceUID), pseudonyms.Uid("2.25.100"));
  EXPECT_EQ(Text(data, DCM_SOPInstanceUID), pseudonyms.Uid("2.25.100.1.1"));
  EXPECT_EQ(Text(*file_->getMetaInfo(), DCM_MediaStorageSOPInstanceUID), pseudonyms.Uid("2.25.100.1.1"));
  EXPECT_EQ(Text(data, DCM_StudyDate), "");
  EXPECT_EQ(Text(data, DCM_PatientSex), "");
  EXPECT_FALSE(data.tagExists(DCM_PatientAge));
  EXPECT_FALSE(data.tagExists(DCM_StudyDescription));
  EXPECT_FALSE(data.tagExists(DcmTagKey(0x0009, 0x1001), OFTrue));
  EXPECT_EQ(Text(data, DCM_Modality), "DX");
  EXPECT_EQ(Text(data, DCM_SOPClassUID), UID_DigitalXRayImageStorageForPresentation);
  EXPECT_TRUE(data.tagExists(DCM_CodeMeaning, OFTrue));
  EXPECT_EQ(Text(data, DCM_PatientIdentityRemoved), "YES");
  EXPECT_EQ(Text(data, DCM_LongitudinalTemporalInformationModified), "REMOVED");
  const std::string bytes = *ReadFile(out_);
  for (const char* secret : {"Doe", "Jane", "2.25.100", "20240229", "19700131", "054Y"}) {
    EXPECT_THAT(bytes, Not(HasSubstr(secret)));
  }
  EXPECT_EQ(*InspectFile(in_).samples, *InspectFile(out_).samples);
  EXPECT_EQ(InspectFile(out_).code, "OK");
  EXPECT_TRUE(ReadHeader(out_).ok());
}

TEST_F(DeidentifierTest, TheSameFileTwiceIsTheSameFile) {
  Apply({});
  const std::string first = *ReadFile(out_);
  Apply({});
  EXPECT_EQ(first, *ReadFile(out_));
}

TEST_F(DeidentifierTest, IntervalsBetweenExaminationsStay) {
  const DeidentifyProfile profile = With({DeidentifyOption::kModifiedDates, DeidentifyOption::kPatientCharacteristics});
  const auto date = [&](const char* study_date, const char* patient) {
    GreyFile grey;
    grey.patient_id = patient;
    grey.change = [&](DcmDataset& data) {
      data.putAndInsertString(DCM_StudyDate, study_date);
      data.putAndInsertString(DCM_AcquisitionDateTime, (std::string(study_date) + "101530").c_str());
    };
    DcmDataset& data = Apply(grey, profile);
    const std::string moved = Text(data, DCM_StudyDate);
    EXPECT_EQ(Text(data, DCM_AcquisitionDateTime), moved.empty() ? "19000101000000" : moved + "101530");
    EXPECT_EQ(Text(data, DCM_PatientSex), "F");
    EXPECT_EQ(Text(data, DCM_PatientAge), "054Y");
    EXPECT_EQ(Text(data, DCM_StudyTime), "081530");
    EXPECT_EQ(Text(data, DCM_LongitudinalTemporalInformationModified), "MODIFIED");
    return Text(data, DCM_StudyDate);
  };
  const std::string first = date("20240229", "P1");
  EXPECT_NE(first, "20240229");
  EXPECT_EQ(DateBefore(date("20240529", "P1"), 90), first);
  EXPECT_NE(date("20240229", "P2"), first);
  EXPECT_EQ(date("no date", "P1"), "");  // what is no date is emptied as in the Basic Profile
}

TEST_F(DeidentifierTest, WithoutAPatientThereIsNothingToMoveDatesBy) {
  GreyFile grey;
  grey.patient_id = "";
  DcmDataset& data = Apply(grey, With({DeidentifyOption::kModifiedDates}));
  EXPECT_EQ(Text(data, DCM_StudyDate), "");
  EXPECT_EQ(Text(data, DCM_PatientID), "");
  EXPECT_EQ(Text(data, DCM_LongitudinalTemporalInformationModified), "REMOVED");
}

TEST_F(DeidentifierTest, DescriptorsAndDevices) {
  GreyFile grey;
  grey.patient_name = "Sharp^Jane";
  grey.change = [](DcmDataset& data) {
    data.putAndInsertString(DCM_StudyDescription, "Chest PA for Jane Sharp, room 12");
    data.putAndInsertString(DCM_SeriesDescription, "Jane Sharp");
    data.putAndInsertString(DCM_DeviceSerialNumber, "SN-7712");
    data.putAndInsertString(DCM_StationName, "ROOM1");
  };
  DcmDataset& data = Apply(grey, With({DeidentifyOption::kCleanDescriptors, DeidentifyOption::kDeviceIdentity}));
  EXPECT_EQ(Text(data, DCM_StudyDescription), "Chest PA");
  EXPECT_FALSE(data.tagExists(DCM_SeriesDescription));
  EXPECT_EQ(Text(data, DCM_DeviceSerialNumber), "SN-7712");
  EXPECT_EQ(Text(data, DCM_StationName), "ROOM1");
  DcmItem* code = nullptr;
  ASSERT_TRUE(data.findAndGetSequenceItem(DCM_DeidentificationMethodCodeSequence, code, 1).good());
  EXPECT_EQ(Text(*code, DCM_CodeValue), "113105");
}

void AddOverlay(DcmDataset& data, Uint16 group, const char* type) {
  data.putAndInsertUint16(DcmTag(group, 0x0010, EVR_US), 4);
  data.putAndInsertUint16(DcmTag(group, 0x0011, EVR_US), 4);
  data.putAndInsertString(DcmTag(group, 0x0040, EVR_CS), type);
  data.putAndInsertString(DcmTag(group, 0x4000, EVR_LT), "Doe");
  const Uint16 bits = 0x0f0f;
  data.putAndInsertUint16Array(DcmTag(group, 0x3000, EVR_OW), &bits, 1);
}

TEST_F(DeidentifierTest, OverlaysGoAsAWholeAndRegionsMayStay) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) {
    AddOverlay(data, 0x6000, "G");
    AddOverlay(data, 0x6002, "R");
    DcmItem* item = nullptr;
    data.findOrCreateSequenceItem(DCM_GraphicAnnotationSequence, item);
    item->putAndInsertString(DCM_GraphicLayer, "LAYER");
    DcmItem* text = nullptr;
    item->findOrCreateSequenceItem(DCM_TextObjectSequence, text);
    text->putAndInsertString(DCM_UnformattedTextValue, "Doe");
  };
  DcmDataset& basic = Apply(grey);
  EXPECT_FALSE(basic.tagExists(DcmTagKey(0x6000, 0x3000)));
  EXPECT_FALSE(basic.tagExists(DcmTagKey(0x6002, 0x0010)));
  EXPECT_THAT(*ReadFile(out_), Not(HasSubstr("Doe")));
  DcmDataset& cleaned = Apply(grey, With({DeidentifyOption::kCleanGraphics}));
  EXPECT_FALSE(cleaned.tagExists(DcmTagKey(0x6000, 0x0010)));
  EXPECT_TRUE(cleaned.tagExists(DcmTagKey(0x6002, 0x3000)));
  EXPECT_FALSE(cleaned.tagExists(DcmTagKey(0x6002, 0x4000)));
  EXPECT_TRUE(cleaned.tagExists(DCM_GraphicLayer, OFTrue));
  EXPECT_FALSE(cleaned.tagExists(DCM_TextObjectSequence, OFTrue));
  EXPECT_THAT(*ReadFile(out_), Not(HasSubstr("Doe")));
}

TEST_F(DeidentifierTest, AnOverlayInUnusedBitsOfThePixelsGoes) {
  GreyFile grey;
  grey.rows = grey.columns = 2;
  grey.pixels = {0x8001, 0x0002, 0x8fff, 0x1000};
  grey.change = [](DcmDataset& data) {
    data.putAndInsertUint16(DcmTag(0x6000, 0x0100, EVR_US), 16);
    data.putAndInsertUint16(DcmTag(0x6000, 0x0102, EVR_US), 15);
  };
  Apply(grey);
  EXPECT_THAT(Pixels(), ElementsAre(0x0001, 0x0002, 0x0fff, 0x0000));
}

TEST_F(DeidentifierTest, BurnedInRegionsOfADeviceAreBlackened) {
  DeidentifyProfile profile;
  profile.burned_in.push_back({"DX", "Acme", "", 2, 3, {{1, 0, 10, 1}}});
  GreyFile grey;
  grey.rows = 2;
  grey.columns = 3;
  grey.pixels = {1, 2, 3, 4, 5, 6};
  grey.change = [](DcmDataset& data) { data.putAndInsertString(DCM_BurnedInAnnotation, "YES"); };
  DcmDataset& data = Apply(grey, profile);
  EXPECT_THAT(Pixels(), ElementsAre(1, 0, 0, 4, 5, 6));
  EXPECT_EQ(Text(data, DCM_BurnedInAnnotation), "NO");
  grey.photometric = "MONOCHROME1";
  Apply(grey, profile);
  EXPECT_THAT(Pixels(), ElementsAre(1, 4095, 4095, 4, 5, 6));
  grey.is_signed = true;
  grey.photometric = "MONOCHROME2";
  Apply(grey, profile);
  EXPECT_THAT(Pixels(), ElementsAre(1, 0x800, 0x800, 4, 5, 6));  // -2048 in twelve bits
}

TEST_F(DeidentifierTest, BurnedInTextWithoutARuleIsRefused) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) { data.putAndInsertString(DCM_BurnedInAnnotation, "YES"); };
  ASSERT_TRUE(testing::MakeDicom(grey, in_));
  EXPECT_EQ(Run({}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(std::filesystem::exists(out_));
  DeidentifyProfile profile;
  profile.burned_in.push_back({"US", "", "", 0, 0, {{0, 0, 1, 1}}});  // of another device
  EXPECT_EQ(Run(profile).status().code(), absl::StatusCode::kFailedPrecondition);
  profile.burned_in.push_back({"DX", "", "", 0, 0, {}});
  EXPECT_TRUE(Run(profile).ok());
}

TEST_F(DeidentifierTest, BadInputIsRefusedAndNothingIsLeft) {
  ASSERT_TRUE(WriteFileAtomically(in_, "Doe^Jane is no DICOM file").ok());
  const auto refused = Run({});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), Not(HasSubstr("Doe")));
  EXPECT_FALSE(std::filesystem::exists(out_));
  ASSERT_TRUE(testing::MakeDicom({}, in_));
  EXPECT_EQ(Deidentifier::Create({}, &secret_)->File(in_, in_).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Deidentifier::Create({}, &secret_)->File(in_, folder_.path() / "no" / "x.dcm").status().code(),
            absl::StatusCode::kUnavailable);
}

// Real files: the fake identities of four hospitals, and every good file of the zoo keeps its pixels.
TEST_F(DeidentifierTest, FakeIdentitiesOfFourHospitals) {
  const auto folder = testing::SharedData() / "dicom_sites";
  if (!std::filesystem::exists(folder / "labels.csv")) {
    GTEST_SKIP() << "no dicom_sites at " << folder << " (set CLOISTER_DATA)";
  }
  DeidentifyProfile profile;
  profile.options = {std::begin(kDeidentifyOptions), std::end(kDeidentifyOptions)};
  for (const char* modality : {"CR", "DX", "OP"}) {  // side markers, no names
    profile.burned_in.push_back({modality, "", "", 0, 0, {}});
  }
  for (const auto& row : testing::ReadTable(folder / "labels.csv")) {
    in_ = folder / row.at("file");
    if (!std::filesystem::exists(in_)) {
      continue;
    }
    const auto header = ReadHeader(in_);
    ASSERT_TRUE(header.ok());
    std::filesystem::remove(out_);
    const auto counts = Run(profile);
    ASSERT_TRUE(counts.ok()) << row.at("file") << counts.status();
    const std::string bytes = *ReadFile(out_);
    std::vector<std::string> secrets = {header->patient_id,       header->patient_birth_date,
                                        header->accession_number, header->study_instance_uid,
                                        header->sop_instance_uid, header->study_date};
    std::string part;
    for (const char c : header->patient_name + "^") {
      if (c == '^' || c == '=') {
        secrets.push_back(part);
        part.clear();
      } else {
        part += c;
      }
    }
    for (const std::string& secret : secrets) {
      if (secret.size() > 3) {  // shorter ones are in the pixels by chance
        EXPECT_EQ(bytes.find(secret), std::string::npos) << row.at("file");
      }
    }
    EXPECT_EQ(*InspectFile(in_).samples, *InspectFile(out_).samples);
  }
}

TEST_F(DeidentifierTest, TheZooKeepsItsPixels) {
  const auto folder = testing::SharedData() / "dicom_zoo";
  if (!std::filesystem::exists(folder / "manifest.csv")) {
    GTEST_SKIP() << "no dicom_zoo at " << folder << " (set CLOISTER_DATA)";
  }
  int done = 0;
  for (const auto& row : testing::ReadTable(folder / "manifest.csv")) {
    in_ = folder / row.at("file");
    if (!std::filesystem::exists(in_)) {
      continue;
    }
    const Inspection before = InspectFile(in_);
    std::filesystem::remove(out_);
    const auto counts = Run({});
    if (before.verdict == Verdict::kImage) {
      EXPECT_TRUE(counts.ok() || absl::IsFailedPrecondition(counts.status())) << row.at("file") << counts.status();
    }
    if (!counts.ok()) {
      EXPECT_FALSE(std::filesystem::exists(out_)) << row.at("file");
      continue;
    }
    if (before.samples) {
      const Inspection after = InspectFile(out_);
      ASSERT_TRUE(after.samples.has_value()) << row.at("file") << after.code << after.message;
      EXPECT_EQ(*before.samples, *after.samples) << row.at("file");
      ++done;
    }
  }
  EXPECT_GT(done, 190);
}

}  // namespace
}  // namespace cloister::site
