// SPDX-License-Identifier: Apache-2.0
// 323 files of every kind, many malformed on purpose, and real films under synthetic hospital headers. Where the
// decoded samples differ from the manifest, or are not to be had, the reason stands here.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <set>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/inspection.h"
#include "site_agent/ingest/stored_samples.h"
#include "tests/support/shared_data.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::ReadTable;
using testing::SharedData;
using Row = std::map<std::string, std::string>;

// Refused although somebody reads them, and with which code.
const std::map<std::string, std::string>& RefusedForAReason() {
  static const auto& reasons = *new std::map<std::string, std::string>{
      // Four bytes of the codestream's own size are a delimiter: it says 3.7 thousand million columns.
      {"files/pydicom/JPEG2000-embedded-sequence-delimiter.dcm", "DECODE_FAILED"},
      // Elements without a VR among elements with one: no reading of PS3.5 says where they end.
      {"files/pydicom/SC_rgb_jpeg.dcm", "UNREADABLE"},
      // A VR that does not exist: PS3.5 7.1.2 gives it a length of four bytes, this file has two.
      {"files/malformed/vr_unknown.dcm", "TRUNCATED"},
      // DCMTK's JPEG-LS reads 8 and more bits a sample, not 7.
      {"files/pydicom-data/JLSL_08_07_0_1F.dcm", "DECODE_FAILED"},
      // Without a transfer syntax PS3.10 does not say how to read what follows.
      {"files/pydicom/meta_missing_tsyntax.dcm", "UNSUPPORTED_TRANSFER_SYNTAX"},
      // Deflated frames and run lengths of single bits came with the standard of 2024; no codec of Debian has them.
      {"files/pydicom-data/liver_deflate.dcm", "UNSUPPORTED_TRANSFER_SYNTAX"},
      {"files/pydicom-data/liver_nonbyte_aligned_deflate.dcm", "UNSUPPORTED_TRANSFER_SYNTAX"},
      {"files/pydicom-data/liver_rle.dcm", "UNSUPPORTED_PIXEL_FORMAT"},
      {"files/pydicom-data/liver_nonbyte_aligned_rle.dcm", "UNSUPPORTED_PIXEL_FORMAT"},
      // An empty dataset of tags for other tests: PixelData without Rows.
      {"files/pydicom/nested_priv_SQ.dcm", "UNSUPPORTED_PIXEL_FORMAT"},
  };
  return reasons;
}

// Decoded right, against GDCM 3.0.21, and with which other file of the zoo they agree instead.
const std::map<std::string, std::string>& SameAs() {
  static const auto& twins = *new std::map<std::string, std::string>{
      // GDCM mixes up the bytes of RGB samples above 8 bits in RLE.
      {"files/pydicom/SC_rgb_rle_16bit.dcm", "files/pydicom-data/SC_rgb_16bit.dcm"},
      {"files/pydicom/SC_rgb_rle_32bit.dcm", "files/pydicom-data/SC_rgb_expb_32bit.dcm"},
      // The manifest has one byte a bit for these, and packed bits for the same segmentation in native encoding.
      {"files/pydicom-data/liver_j2k.dcm", "files/pydicom-data/liver.dcm"},
      // GDCM drops the bits of the last, incomplete byte; two encodings of one segmentation agree.
      {"files/pydicom-data/liver_nonbyte_aligned_j2k.dcm", "files/pydicom-data/liver_nonbyte_aligned.dcm"},
  };
  return twins;
}

// Decoded, with no reference to compare with: GDCM reads neither HTJ2K nor the rest of these right.
bool WithoutReference(const std::string& file) {
  static const auto& files = *new std::set<std::string>{
      "files/pydicom-data/HTJ2KLossless_08_RGB.dcm", "files/pydicom-data/HTJ2K_08_RGB.dcm",
      "files/pydicom-data/liver_nonbyte_aligned.dcm", "files/pydicom/SC_rgb_rle_16bit_2frame.dcm"};
  return files.count(file) == 1;
}

// Malformed, and taken with a note or without one.
const std::map<std::string, std::string>& TakenAlthoughMalformed() {
  static const auto& files = *new std::map<std::string, std::string>{
      // All ten frames are whole; what is missing is the delimiter after them.
      {"files/pydicom-data/emri_small_jpeg_2k_lossless_too_short.dcm", "no delimiter"},
      // Wrong bytes within an entropy-coded segment without markers: every one decodes to something.
      {"files/malformed/j2k_bitflips.dcm", ""},
  };
  return files;
}

std::filesystem::path Zoo() {
  return SharedData() / "dicom_zoo";
}

std::vector<Row> Manifest() {
  std::vector<Row> rows;
  if (std::filesystem::exists(Zoo() / "manifest.csv")) {
    for (Row& row : ReadTable(Zoo() / "manifest.csv")) {
      if (std::filesystem::exists(Zoo() / row["file"])) {
        rows.push_back(std::move(row));
      }
    }
  }
  return rows;
}

#define SKIP_WITHOUT_ZOO(rows) \
  if ((rows).empty()) GTEST_SKIP() << "no dicom_zoo at " << Zoo() << " (set CLOISTER_DATA)"

// The bytes of pydicom's pixel_array, which the manifest has where GDCM does not decode: a bit takes a byte.
std::string DigestOfUnpackedSamples(const std::filesystem::path& path) {
  auto outcome = OpenDataset(path, ReadUpTo::kEnd);
  OpenedDataset& opened = std::get<OpenedDataset>(outcome);
  PixelLayout layout;
  EXPECT_FALSE(ReadLayout(*opened.data, {}, &layout).has_value());
  crypto::Sha256Stream digest;
  EXPECT_FALSE(ForEachFrame(opened, layout, [&](const RawFrame& frame) { digest.Update(frame.bytes); }).has_value());
  return digest.Finish().hex();
}

TEST(ZooTest, EveryGoodFileDecodesToItsPixels) {
  const std::vector<Row> rows = Manifest();
  SKIP_WITHOUT_ZOO(rows);
  std::map<std::string, std::string> digest_of;
  int agreeing = 0;
  for (const Row& row : rows) {
    const std::string& file = row.at("file");
    if (row.at("expect") == "malformed") {
      continue;
    }
    const Inspection found = InspectFile(Zoo() / file);
    const std::string digest = found.samples ? found.samples->hex() : "";
    digest_of[file] = digest;
    if (const auto refused = RefusedForAReason().find(file); refused != RefusedForAReason().end()) {
      EXPECT_EQ(found.code, refused->second) << file << " " << found.message;
      continue;
    }
    if (row.at("gdcm_decode") == "no pixels") {
      EXPECT_EQ(digest, "") << file;
      continue;
    }
    ASSERT_NE(digest, "") << file << " " << found.code << " " << found.message;
    if (SameAs().count(file) == 1 || WithoutReference(file)) {
      continue;
    }
    const bool of_pydicom = row.at("gdcm_decode") == "no (pydicom decodes)";
    if (of_pydicom && row.at("bits") == "1/1u") {
      EXPECT_EQ(DigestOfUnpackedSamples(Zoo() / file), row.at("pixel_sha256")) << file;
    } else if (file == "files/pydicom/rtdose_expb_1frame.dcm") {
      // pydicom's bytes are big endian: those of the file itself, at its end.
      const Bytes bytes = *ReadFile(Zoo() / file);
      EXPECT_EQ(crypto::Sha256(bytes.substr(bytes.size() - 400)).hex(), row.at("pixel_sha256"));
    } else {
      EXPECT_EQ(digest, row.at("pixel_sha256")) << file;
      EXPECT_EQ(std::to_string(found.rows), row.at("rows")) << file;
      EXPECT_EQ(std::to_string(found.columns), row.at("cols")) << file;
      ++agreeing;
    }
  }
  for (const auto& [file, twin] : SameAs()) {
    EXPECT_EQ(digest_of[file], digest_of[twin]) << file;
  }
  std::cout << fmt::format(
      "[ zoo ] {} of {} good files have the samples of the manifest, {} are refused for a reason\n", agreeing,
      digest_of.size(), RefusedForAReason().size());
  EXPECT_GT(agreeing, 190);
}

TEST(ZooTest, EveryMalformedFileIsRefusedWithACode) {
  const std::vector<Row> rows = Manifest();
  SKIP_WITHOUT_ZOO(rows);
  std::map<std::string, int> codes;
  for (const Row& row : rows) {
    if (row.at("expect") != "malformed") {
      continue;
    }
    const Inspection found = InspectFile(Zoo() / row.at("file"));
    const auto taken = TakenAlthoughMalformed().find(row.at("file"));
    if (taken != TakenAlthoughMalformed().end()) {
      EXPECT_EQ(found.verdict, Verdict::kImage) << row.at("file");
      EXPECT_THAT(fmt::format("{}", fmt::join(found.notes, " ")), HasSubstr(taken->second));
      continue;
    }
    EXPECT_EQ(found.verdict, Verdict::kRefused) << row.at("file") << " " << found.code;
    EXPECT_FALSE(found.message.empty()) << row.at("file");
    ++codes[found.code];
  }
  for (const auto& [code, count] : codes) {
    std::cout << fmt::format("[ zoo ] {:>5} {}\n", count, code);
  }
  EXPECT_GT(codes.size(), 6u);
}

TEST(ZooTest, WhatIsNoImageIsNoFault) {
  const std::vector<Row> rows = Manifest();
  SKIP_WITHOUT_ZOO(rows);
  int without_image = 0;
  for (const Row& row : rows) {
    static const std::set<std::string> kReports = {"SR", "RTPLAN", "ECG", "ANN", "RWV"};
    if (row.at("expect") != "valid" || kReports.count(row.at("modality")) == 0) {
      continue;
    }
    const Inspection found = InspectFile(Zoo() / row.at("file"));
    if (found.code == "MISSING_UID") {
      continue;  // several of these are fragments for parsers
    }
    EXPECT_EQ(found.verdict, Verdict::kNoImage) << row.at("file") << " " << found.code;
    ++without_image;
  }
  EXPECT_GE(without_image, 5);
}

TEST(ZooTest, GreyValuesAreBetweenBlackAndWhite) {
  const std::vector<Row> rows = Manifest();
  SKIP_WITHOUT_ZOO(rows);
  int decoded = 0;
  for (const Row& row : rows) {
    const auto outcome = DecodeGrayscale(Zoo() / row.at("file"));
    if (const auto* image = std::get_if<DecodedImage>(&outcome)) {
      ++decoded;
      ASSERT_EQ(image->pixels.size(), static_cast<size_t>(image->rows) * image->columns) << row.at("file");
      for (const float pixel : image->pixels) {
        ASSERT_TRUE(pixel >= 0 && pixel <= 1) << row.at("file") << " " << pixel;
      }
    }
  }
  EXPECT_GT(decoded, 190);
}

TEST(SitesTest, FilmsOfFourHospitalsLookLikeTheirSourcesAndNamesStayInside) {
  const auto folder = SharedData() / "dicom_sites";
  if (!std::filesystem::exists(folder / "labels.csv")) {
    GTEST_SKIP() << "no dicom_sites at " << folder << " (set CLOISTER_DATA)";
  }
  int read = 0;
  for (const Row& row : ReadTable(folder / "labels.csv")) {
    const auto path = folder / row.at("file");
    if (!std::filesystem::exists(path)) {
      continue;
    }
    const auto header = ReadHeader(path);
    ASSERT_TRUE(header.ok()) << path << header.status();
    EXPECT_EQ(header->study_instance_uid, row.at("study_uid"));
    EXPECT_EQ(header->modality, row.at("modality"));
    EXPECT_EQ(header->patient_id, row.at("patient_id"));
    EXPECT_FALSE(header->accession_number.empty());
    const Inspection found = InspectFile(path);
    EXPECT_EQ(found.verdict, Verdict::kImage) << path << " " << found.code << " " << found.message;
    EXPECT_EQ(std::to_string(found.rows), row.at("rows"));
    const auto outcome = DecodeGrayscale(path);
    const auto* image = std::get_if<DecodedImage>(&outcome);
    ASSERT_NE(image, nullptr) << path << " " << std::get<Rejection>(outcome).message;
    EXPECT_EQ(image->was_inverted, row.at("photometric") == "MONOCHROME1");
    const std::string said = found.message + found.modality + fmt::format("{}", fmt::join(found.notes, " "));
    EXPECT_THAT(said, Not(HasSubstr(header->patient_name.substr(0, 4))));
    ++read;
  }
  EXPECT_GT(read, 40);
}

}  // namespace
}  // namespace cloister::site
