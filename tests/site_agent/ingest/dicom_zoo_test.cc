// SPDX-License-Identifier: Apache-2.0
// 323 files of every kind, many malformed on purpose, and real films under synthetic hospital headers.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/dicom_image.h"
#include "tests/support/shared_data.h"

namespace cloister::site {
namespace {

using testing::ReadTable;
using testing::SharedData;

// What is not taken: video, HTJ2K, private syntaxes, one-bit segmentations, and a few oddities by name.
bool Decodable(const std::map<std::string, std::string>& row) {
  static const std::set<std::string> kSyntaxes = {
      "1.2.840.10008.1.2",      "1.2.840.10008.1.2.1",    "1.2.840.10008.1.2.2",    "1.2.840.10008.1.2.5",
      "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80",
      "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"};
  static const char* const kOddities[] = {"ALOKA-16",         // segmented palettes
                                          "SC_rgb_jpeg.dcm",  // elements without VR
                                          "JLSL_08_07_0"};    // DCMTK's JPEG-LS refuses 7 bits
  const std::string& bits = row.at("bits");
  const bool one_bit = bits.find("/1u") != std::string::npos || bits.find("1/1") != std::string::npos;
  const bool odd = std::any_of(std::begin(kOddities), std::end(kOddities),
                               [&](const char* name) { return row.at("file").find(name) != std::string::npos; });
  return kSyntaxes.count(row.at("ts_uid")) == 1 && row.at("gdcm_decode") == "ok" && !one_bit && !odd;
}

TEST(DicomZooTest, EveryFileIsReadOrRefusedAndNoneCrashes) {
  const auto folder = SharedData() / "dicom_zoo";
  if (!std::filesystem::exists(folder / "manifest.csv")) {
    GTEST_SKIP() << "no dicom_zoo at " << folder << " (set CLOISTER_DATA)";
  }
  int decoded = 0;
  int rejected = 0;
  int headers = 0;
  std::map<std::string, int> reasons;
  for (const auto& row : ReadTable(folder / "manifest.csv")) {
    const auto path = folder / row.at("file");
    if (!std::filesystem::exists(path)) {
      continue;
    }
    headers += ReadHeader(path).ok() ? 1 : 0;  // many are valid but have no study
    const auto outcome = DecodeGrayscale(path);
    const auto* rejection = std::get_if<Rejection>(&outcome);
    if (rejection != nullptr) {
      ++rejected;
      ++reasons[std::string(RejectReasonName(rejection->reason))];
      EXPECT_FALSE(rejection->message.empty()) << path;
    } else {
      ++decoded;
      const auto& image = std::get<DecodedImage>(outcome);
      EXPECT_EQ(image.pixels.size(), static_cast<size_t>(image.rows) * image.columns) << path;
      for (const float pixel : image.pixels) {
        ASSERT_TRUE(pixel >= 0 && pixel <= 1) << path << " " << pixel;
      }
    }
    if (row.at("expect") == "valid" && Decodable(row)) {
      EXPECT_EQ(rejection, nullptr) << path << " " << RejectReasonName(rejection->reason) << " " << rejection->message;
    }
  }
  std::cout << fmt::format("[ zoo ] {} headers, {} decoded, {} rejected\n", headers, decoded, rejected);
  for (const auto& [reason, count] : reasons) {
    std::cout << fmt::format("[ zoo ] {:>5} {}\n", count, reason);
  }
  EXPECT_GT(headers, 150);
  EXPECT_GT(decoded, 100);
}

// One slice in 14 encodings: the lossless ones must give the same grey values.
TEST(DicomZooTest, LosslessEncodingsOfOneSliceAgree) {
  const auto folder = SharedData() / "dicom_zoo";
  if (!std::filesystem::exists(folder / "manifest.csv")) {
    GTEST_SKIP() << "no dicom_zoo at " << folder << " (set CLOISTER_DATA)";
  }
  std::map<std::string, std::vector<float>> by_hash;
  int agreeing = 0;
  for (const auto& row : ReadTable(folder / "manifest.csv")) {
    const bool slice = row.at("file").find("ct_syntaxes/") != std::string::npos;
    if (!slice || !Decodable(row) || !std::filesystem::exists(folder / row.at("file"))) {
      continue;
    }
    DecodeOptions options;
    options.values = PixelValues::kModality;
    const auto outcome = DecodeGrayscale(folder / row.at("file"), options);
    const auto* image = std::get_if<DecodedImage>(&outcome);
    ASSERT_NE(image, nullptr) << row.at("file") << " " << std::get<Rejection>(outcome).message;
    const auto [known, added] = by_hash.emplace(row.at("pixel_sha256"), image->pixels);
    if (!added) {
      EXPECT_EQ(known->second, image->pixels) << row.at("file");
      ++agreeing;
    }
  }
  EXPECT_GE(agreeing, 5);
}

TEST(DicomSitesTest, FilmsOfFourHospitalsLookLikeTheirSources) {
  const auto folder = SharedData() / "dicom_sites";
  if (!std::filesystem::exists(folder / "labels.csv")) {
    GTEST_SKIP() << "no dicom_sites at " << folder << " (set CLOISTER_DATA)";
  }
  int read = 0;
  for (const auto& row : ReadTable(folder / "labels.csv")) {
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
    const auto outcome = DecodeGrayscale(path);
    const auto* image = std::get_if<DecodedImage>(&outcome);
    ASSERT_NE(image, nullptr) << path << " " << std::get<Rejection>(outcome).message;
    EXPECT_EQ(std::to_string(image->rows), row.at("rows"));
    EXPECT_EQ(image->was_inverted, row.at("photometric") == "MONOCHROME1");
    ++read;
  }
  EXPECT_GT(read, 40);
}

}  // namespace
}  // namespace cloister::site
