// SPDX-License-Identifier: Apache-2.0
// Headers of good, odd and hostile files.

#include "site_agent/ingest/dicom_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "protocols/base/file.h"
#include "tests/support/make_dicom.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::ElementsAre;
using testing::GreyFile;
using ::testing::HasSubstr;
using testing::MakeDicom;

class DicomHeaderTest : public ::testing::Test {
 protected:
  std::filesystem::path File(const std::string& name) { return folder_.path() / name; }
  std::filesystem::path Write(const std::string& bytes) {
    std::ofstream(File("x.dcm"), std::ios::binary) << bytes;
    return File("x.dcm");
  }
  testing::TempDir folder_;
};

TEST_F(DicomHeaderTest, ReadsWhatTheAgentNeeds) {
  GreyFile grey;
  grey.patient_id = " P1 ";
  ASSERT_TRUE(MakeDicom(grey, File("a.dcm")));
  const auto header = ReadHeader(File("a.dcm"));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->study_instance_uid, "2.25.100");
  EXPECT_EQ(header->series_instance_uid, "2.25.100.1");
  EXPECT_EQ(header->sop_instance_uid, "2.25.100.1.1");
  EXPECT_EQ(header->sop_class_uid, UID_DigitalXRayImageStorageForPresentation);
  EXPECT_EQ(header->transfer_syntax_uid, UID_LittleEndianExplicitTransferSyntax);
  EXPECT_EQ(header->accession_number, "A1");
  EXPECT_EQ(header->patient_id, "P1");
  EXPECT_EQ(header->patient_name, "Doe^Jane");
  EXPECT_EQ(header->patient_age, "054Y");
  EXPECT_EQ(header->study_date, "20240229");
  EXPECT_EQ(header->view_position, "PA");
  EXPECT_EQ(header->presentation_intent_type, "FOR PRESENTATION");
  EXPECT_THAT(header->image_type, ElementsAre("ORIGINAL", "PRIMARY"));
  EXPECT_EQ(header->series_number, 3);
  EXPECT_EQ(header->rows, 4);
  EXPECT_EQ(header->number_of_frames, 1);
  EXPECT_EQ(header->bits_stored, 12);
}

TEST_F(DicomHeaderTest, ChineseNamesBecomeUtf8) {
  GreyFile grey;
  grey.specific_character_set = "GB18030";
  grey.patient_name = "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab";  // PS3.5 K.2
  ASSERT_TRUE(MakeDicom(grey, File("a.dcm")));
  const auto header = ReadHeader(File("a.dcm"));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->patient_name, grey.patient_name);
  EXPECT_EQ(ToUtf8(header->patient_name, header->specific_character_set), "Wang^XiaoDong=王^小东");
}

TEST_F(DicomHeaderTest, UnconvertibleTextKeepsItsAscii) {
  EXPECT_EQ(ToUtf8("M\xfcller", "NOT A CHARSET"), "M?ller");
  EXPECT_EQ(ToUtf8("M\xfcller", "ISO_IR 100"), "Müller");
  EXPECT_EQ(ToUtf8("", ""), "");
}

TEST_F(DicomHeaderTest, MissingFileIsNotFound) {
  EXPECT_EQ(ReadHeader(File("none.dcm")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadHeader(folder_.path()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DicomHeaderTest, NeedsItsUids) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) { data.findAndDeleteElement(DCM_SeriesInstanceUID); };
  ASSERT_TRUE(MakeDicom(grey, File("a.dcm")));
  const auto missing = ReadHeader(File("a.dcm"));
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("SeriesInstanceUID"));

  grey.change = [](DcmDataset& data) { data.putAndInsertString(DCM_StudyInstanceUID, "../../etc"); };
  ASSERT_TRUE(MakeDicom(grey, File("a.dcm")));
  EXPECT_EQ(ReadHeader(File("a.dcm")).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DicomHeaderTest, CutAtEveryLengthNeverCrashes) {
  ASSERT_TRUE(MakeDicom(GreyFile(), File("a.dcm")));
  const auto bytes = ReadFile(File("a.dcm"));
  ASSERT_TRUE(bytes.ok());
  for (size_t size = 0; size < bytes->size(); ++size) {
    (void)ReadHeader(Write(bytes->substr(0, size)));  // any Status will do
  }
}

TEST_F(DicomHeaderTest, AFlippedByteAnywhereNeverCrashes) {
  ASSERT_TRUE(MakeDicom(GreyFile(), File("a.dcm")));
  const auto bytes = ReadFile(File("a.dcm"));
  ASSERT_TRUE(bytes.ok());
  for (size_t i = 128; i < bytes->size(); ++i) {
    std::string changed = *bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0xff);
    (void)ReadHeader(Write(changed));
  }
}

// Sequences within sequences in front of the pixels: explicit, implicit and of defined length.
std::string Nested(int depth, bool implicit_vr) {
  const std::string item("\xfe\xff\x00\xe0\xff\xff\xff\xff", 8);
  const std::string sequence = implicit_vr ? std::string("\x08\x00\x40\x11\xff\xff\xff\xff", 8)
                                           : std::string("\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff", 12);
  std::string bytes(128, '\0');
  bytes += "DICM";
  bytes += std::string("\x02\x00\x00\x00UL\x04\x00\x1c\x00\x00\x00", 12);
  bytes += implicit_vr ? std::string(
                             "\x02\x00\x10\x00UI\x12\x00"
                             "1.2.840.10008.1.2\0",
                             26)
                       : std::string(
                             "\x02\x00\x10\x00UI\x14\x00"
                             "1.2.840.10008.1.2.1\0",
                             28);
  for (int i = 0; i < depth; ++i) {
    bytes += sequence + item;
  }
  return bytes;
}

TEST_F(DicomHeaderTest, DeepNestingIsRefusedBeforeItIsParsed) {
  for (const bool implicit_vr : {false, true}) {
    for (const int depth : {65, 1000, 200000}) {
      const auto header = ReadHeader(Write(Nested(depth, implicit_vr)));
      EXPECT_EQ(header.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(header.status().message()), HasSubstr("nested")) << depth << implicit_vr;
    }
  }
}

TEST_F(DicomHeaderTest, DeepNestingOfDefinedLengthIsRefused) {
  const auto little = [](uint32_t value) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) {
      bytes += static_cast<char>(value >> (8 * i));
    }
    return bytes;
  };
  std::string inner;
  for (int i = 0; i < 5000; ++i) {  // built from the inside
    const std::string item = std::string("\xfe\xff\x00\xe0", 4) + little(static_cast<uint32_t>(inner.size())) + inner;
    inner = std::string("\x08\x00\x40\x11", 4) + little(static_cast<uint32_t>(item.size())) + item;
  }
  const auto header = ReadHeader(Write(Nested(0, true) + inner));
  EXPECT_THAT(std::string(header.status().message()), HasSubstr("nested"));
}

// A sequence under VR UN of defined length, in explicit VR of either byte order: DCMTK parses what it knows better.
TEST_F(DicomHeaderTest, DeepNestingUnderUnknownVrIsRefused) {
  const auto little = [](uint32_t value) {
    std::string bytes;
    for (int i = 0; i < 4; ++i) {
      bytes += static_cast<char>(value >> (8 * i));
    }
    return bytes;
  };
  std::string inner;
  for (int i = 0; i < 5000; ++i) {  // implicit VR little endian, built from the inside
    const std::string item = std::string("\xfe\xff\x00\xe0", 4) + little(static_cast<uint32_t>(inner.size())) + inner;
    inner = std::string("\x08\x00\x40\x11", 4) + little(static_cast<uint32_t>(item.size())) + item;
  }
  const std::string value = inner.substr(8);  // the outermost element is of VR UN
  const uint32_t size = static_cast<uint32_t>(value.size());
  const auto hidden =
      ReadHeader(Write(Nested(0, false) + std::string("\x08\x00\x40\x11UN\x00\x00", 8) + little(size) + value));
  EXPECT_THAT(std::string(hidden.status().message()), HasSubstr("nested"));
  std::string big_endian(128, '\0');
  big_endian += "DICM";
  big_endian += std::string(
      "\x02\x00\x10\x00UI\x14\x00"
      "1.2.840.10008.1.2.2\0",
      28);
  const std::string reversed = little(size);
  big_endian += std::string("\x00\x08\x11\x40UN\x00\x00", 8) + std::string(reversed.rbegin(), reversed.rend()) + value;
  EXPECT_THAT(std::string(ReadHeader(Write(big_endian)).status().message()), HasSubstr("nested"));
}

// DCMTK throws std::out_of_range over a code string of more than 32 zeros in a directory record.
TEST_F(DicomHeaderTest, WhatDcmtkThrowsIsARefusal) {
  std::string bytes = Nested(0, false);
  bytes += std::string("\x04\x00\x20\x12SQ\x00\x00\xff\xff\xff\xff", 12);
  bytes += std::string("\xfe\xff\x00\xe0\xff\xff\xff\xff", 8);
  bytes += std::string(
               "\x04\x00\x30\x14"
               "CS\x22\x00",
               8) +
           std::string(34, '\0');
  const auto header = ReadHeader(Write(bytes));
  EXPECT_EQ(header.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(header.status().message()), HasSubstr("malformed value"));
}

TEST(UidTest, Syntax) {
  EXPECT_TRUE(IsValidUid("1.2.840.10008.1.2"));
  EXPECT_TRUE(IsValidUid("2.25.329800735698586629295641978511506172918"));
  for (const char* bad : {"", ".", "1.", ".1", "1..2", "1.a", "1/2", "1.2 ", "../1"}) {
    EXPECT_FALSE(IsValidUid(bad)) << bad;
  }
  EXPECT_FALSE(IsValidUid(std::string(65, '1')));
}

}  // namespace
}  // namespace cloister::site
