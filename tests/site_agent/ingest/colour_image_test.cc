// SPDX-License-Identifier: Apache-2.0
// Photographs of the eye: their colours, their disc against masks drawn by others, and which eye.

#include "site_agent/ingest/colour_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <fstream>

#include "protocols/base/file.h"
#include "tests/support/make_dicom.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::ElementsAre;
using testing::GreyFile;

class ColourImageTest : public ::testing::Test {
 protected:
  // One row of pixels of 8 bits.
  static GreyFile Colour(const std::string& photometric, std::vector<Uint8> bytes, bool planar = false) {
    GreyFile grey;
    grey.modality = "OP";
    grey.change = [=](DcmDataset& data) {
      const size_t pixels =
          photometric == "YBR_FULL_422" || photometric == "YBR_PARTIAL_422" ? bytes.size() / 2 : bytes.size() / 3;
      data.putAndInsertUint16(DCM_Rows, 1);
      data.putAndInsertUint16(DCM_Columns, static_cast<Uint16>(pixels));
      data.putAndInsertUint16(DCM_SamplesPerPixel, 3);
      data.putAndInsertUint16(DCM_PlanarConfiguration, planar ? 1 : 0);
      data.putAndInsertString(DCM_PhotometricInterpretation, photometric.c_str());
      data.putAndInsertUint16(DCM_BitsAllocated, 8);
      data.putAndInsertUint16(DCM_BitsStored, 8);
      data.putAndInsertUint16(DCM_HighBit, 7);
      data.putAndInsertUint8Array(DCM_PixelData, bytes.data(), static_cast<unsigned long>(bytes.size()));
    };
    return grey;
  }
  std::vector<uint8_t> Rgb(const GreyFile& grey) {
    EXPECT_TRUE(testing::MakeDicom(grey, path_));
    auto outcome = DecodeColour(path_);
    if (const Rejection* rejection = std::get_if<Rejection>(&outcome)) {
      ADD_FAILURE() << rejection->message;
      return {};
    }
    return std::get<ColourImage>(outcome).rgb;
  }
  testing::TempDir folder_;
  std::filesystem::path path_ = folder_.path() / "x.dcm";
};

TEST_F(ColourImageTest, RgbInPixelsAndInPlanes) {
  EXPECT_THAT(Rgb(Colour("RGB", {1, 2, 3, 4, 5, 6})), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Rgb(Colour("RGB", {1, 4, 2, 5, 3, 6}, true)), ElementsAre(1, 2, 3, 4, 5, 6));
}

// PS3.3 C.7.6.3.1.2: Y = .299 R + .587 G + .114 B, and so on: pure red is 76, 85, 255 (rounded), pure blue 29, 255,
// 107.
TEST_F(ColourImageTest, YbrBecomesRgb) {
  EXPECT_THAT(Rgb(Colour("YBR_FULL", {76, 85, 255, 29, 255, 107})), ElementsAre(254, 0, 0, 0, 0, 254));
  EXPECT_THAT(Rgb(Colour("YBR_FULL", {100, 128, 128, 255, 128, 128})), ElementsAre(100, 100, 100, 255, 255, 255));
  EXPECT_THAT(Rgb(Colour("YBR_FULL_422", {76, 100, 85, 255})), ElementsAre(254, 0, 0, 255, 24, 24));
  EXPECT_THAT(Rgb(Colour("YBR_PARTIAL_422", {16, 235, 128, 128})), ElementsAre(0, 0, 0, 255, 255, 255));
}

TEST_F(ColourImageTest, SixteenBitsKeepTheirUpperEight) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) {
    data.putAndInsertUint16(DCM_Rows, 1);
    data.putAndInsertUint16(DCM_Columns, 1);
    data.putAndInsertUint16(DCM_SamplesPerPixel, 3);
    data.putAndInsertUint16(DCM_PlanarConfiguration, 0);
    data.putAndInsertString(DCM_PhotometricInterpretation, "RGB");
    const Uint16 pixels[] = {0x0fff, 0x0800, 0x0010};  // of 12 bits
    data.putAndInsertUint16Array(DCM_PixelData, pixels, 3);
  };
  EXPECT_THAT(Rgb(grey), ElementsAre(255, 128, 1));
}

TEST_F(ColourImageTest, GreyIsRefused) {
  ASSERT_TRUE(testing::MakeDicom({}, path_));
  const auto outcome = DecodeColour(path_);
  ASSERT_TRUE(std::holds_alternative<Rejection>(outcome));
  EXPECT_EQ(std::get<Rejection>(outcome).reason, RejectReason::kUnsupportedPixelFormat);
  const auto frame = DecodeColour(path_, 1);
  EXPECT_EQ(std::get<Rejection>(frame).reason, RejectReason::kUnreadable);
}

// A lit disc on a black ground with noise below `noise`.
ColourImage Disc(int rows, int columns, int centre_x, int centre_y, int radius, int noise) {
  ColourImage image;
  image.rows = rows;
  image.columns = columns;
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      const bool inside = (x - centre_x) * (x - centre_x) + (y - centre_y) * (y - centre_y) <= radius * radius;
      const auto value = static_cast<uint8_t>(inside ? 180 : (x * 7 + y * 13) % std::max(1, noise));
      image.rgb.insert(image.rgb.end(), {value, static_cast<uint8_t>(value / 2), 0});
    }
  }
  return image;
}

TEST(FieldOfViewTest, TheBoxOfTheDisc) {
  const ColourImage image = Disc(400, 600, 310, 190, 150, 15);
  const auto box = FindFieldOfView(image);
  ASSERT_TRUE(box.has_value());
  // Rows of the disc's edge with fewer than 2 % lit pixels do not count: less than half a pixel at this size.
  EXPECT_NEAR(box->left, 160, 1);
  EXPECT_NEAR(box->top, 40, 1);
  EXPECT_NEAR(box->width, 301, 2);
  EXPECT_NEAR(box->height, 301, 2);
  const ColourImage cropped = Crop(image, *box);
  EXPECT_EQ(cropped.rgb.size(), static_cast<size_t>(box->width) * static_cast<size_t>(box->height) * 3);
  const size_t middle =
      (static_cast<size_t>(box->height / 2) * static_cast<size_t>(box->width) + static_cast<size_t>(box->width / 2)) *
      3;
  EXPECT_EQ(cropped.rgb[middle], 180);
}

TEST(FieldOfViewTest, WhatIsNoFundusHasNone) {
  EXPECT_FALSE(FindFieldOfView(Disc(400, 600, 300, 200, 0, 10)).has_value());   // dark
  EXPECT_FALSE(FindFieldOfView(Disc(400, 600, 300, 200, 40, 10)).has_value());  // a reflex
  EXPECT_FALSE(FindFieldOfView({}).has_value());
  ColourImage band = Disc(400, 600, 300, 200, 0, 0);
  for (size_t i = band.rgb.size() / 2; i < band.rgb.size(); ++i) {
    band.rgb[i] = 200;  // the lower half: three times as wide as high
  }
  EXPECT_FALSE(FindFieldOfView(band).has_value());
}

class LateralityTest : public ColourImageTest {
 protected:
  absl::StatusOr<Laterality> Read(const char* tag_value, const char* description,
                                  const std::vector<LateralityRule>& rules) {
    GreyFile grey = Colour("RGB", {1, 2, 3, 4, 5, 6});
    grey.change = [&, inner = grey.change](DcmDataset& data) {
      inner(data);
      data.putAndInsertString(DCM_ImageLaterality, tag_value);
      data.putAndInsertString(DCM_SeriesDescription, description);
    };
    EXPECT_TRUE(testing::MakeDicom(grey, path_));
    return ReadLaterality(path_, rules);
  }
};

TEST_F(LateralityTest, FromWhereTheConfigurationSays) {
  using Source = LateralityRule::Source;
  const LateralityRule tag{Source::kImageLaterality, "", ""};
  const LateralityRule text{Source::kSeriesDescription, "\\b(os|left)\\b", "\\b(od|right)\\b"};
  EXPECT_EQ(*Read("L", "", {tag}), Laterality::kLeft);
  EXPECT_EQ(*Read("R", "", {tag}), Laterality::kRight);
  EXPECT_EQ(*Read("", "Fundus OD 45 deg", {tag, text}), Laterality::kRight);
  EXPECT_EQ(*Read("L", "Fundus OD", {tag}), Laterality::kLeft);  // the description was not asked
  EXPECT_TRUE(absl::IsNotFound(Read("", "Fundus OD", {tag}).status()));
  EXPECT_TRUE(absl::IsNotFound(Read("B", "model", {tag, text}).status()));
  EXPECT_TRUE(absl::IsNotFound(Read("L", "", {}).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Read("L", "Fundus OD", {tag, text}).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Read("", "OD and OS", {text}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Read("L", "", {{Source::kSeriesDescription, "(", "x"}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadLaterality(folder_.path() / "absent.dcm", {tag}).status()));
}

// A PNG of one bit a pixel: where the mask begins and ends.
FieldOfView BoxOfMask(const std::filesystem::path& path) {
  const Bytes png = *ReadFile(path);
  const auto number = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) {
      value = value << 8 | static_cast<unsigned char>(png[at + i]);
    }
    return value;
  };
  const size_t columns = number(16);
  const size_t rows = number(20);
  std::string packed;
  for (size_t at = 8; at + 12 <= png.size(); at += number(at) + 12) {
    if (png.compare(at + 4, 4, "IDAT") == 0) {
      packed += png.substr(at + 8, number(at));
    }
  }
  const size_t stride = (columns + 7) / 8;
  std::vector<unsigned char> raw((stride + 1) * rows);
  uLongf size = raw.size();
  EXPECT_EQ(uncompress(raw.data(), &size, reinterpret_cast<const Bytef*>(packed.data()), packed.size()), Z_OK);
  std::vector<unsigned char> above(stride);
  int left = static_cast<int>(columns), right = -1, top = static_cast<int>(rows), bottom = -1;
  for (size_t y = 0; y < rows; ++y) {
    const int filter = raw[y * (stride + 1)];
    std::vector<unsigned char> line(raw.begin() + static_cast<std::ptrdiff_t>(y * (stride + 1) + 1),
                                    raw.begin() + static_cast<std::ptrdiff_t>((y + 1) * (stride + 1)));
    for (size_t i = 0; i < stride; ++i) {
      const int a = i > 0 ? line[i - 1] : 0;
      const int b = above[i];
      const int c = i > 0 ? above[i - 1] : 0;
      const int p = a + b - c;
      const int paeth = std::abs(p - a) <= std::abs(p - b) && std::abs(p - a) <= std::abs(p - c) ? a
                        : std::abs(p - b) <= std::abs(p - c)                                     ? b
                                                                                                 : c;
      const int predicted[] = {0, a, b, (a + b) / 2, paeth};
      line[i] = static_cast<unsigned char>(line[i] + predicted[filter]);
    }
    for (size_t x = 0; x < columns; ++x) {
      if ((line[x / 8] >> (7 - x % 8) & 1) != 0) {
        left = std::min(left, static_cast<int>(x));
        right = std::max(right, static_cast<int>(x));
        top = std::min(top, static_cast<int>(y));
        bottom = std::max(bottom, static_cast<int>(y));
      }
    }
    above = line;
  }
  return {left, top, right - left + 1, bottom - top + 1};
}

TEST(EyeClinicTest, TheBoxIsThatOfMasksDrawnByOthers) {
  const auto data = testing::SharedData();
  if (!std::filesystem::exists(data / "dicom_sites" / "labels.csv") ||
      !std::filesystem::exists(data / "fundus_glaucoma" / "fov_masks")) {
    GTEST_SKIP() << "no dicom_sites or fundus_glaucoma at " << data << " (set CLOISTER_DATA)";
  }
  int compared = 0;
  for (const auto& row : testing::ReadTable(data / "dicom_sites" / "labels.csv")) {
    const auto path = data / "dicom_sites" / row.at("file");
    const std::filesystem::path source = row.at("from_image");
    const auto mask = data / "fundus_glaucoma" / "fov_masks" / source.stem().concat(".png");
    if (row.at("modality") != "OP" || !std::filesystem::exists(path) || !std::filesystem::exists(mask)) {
      continue;
    }
    auto outcome = DecodeColour(path);
    ASSERT_TRUE(std::holds_alternative<ColourImage>(outcome)) << std::get<Rejection>(outcome).message;
    const ColourImage& image = std::get<ColourImage>(outcome);
    const auto box = FindFieldOfView(image);
    ASSERT_TRUE(box.has_value()) << path;
    const FieldOfView expected = BoxOfMask(mask);
    const double tolerance = 0.03 * image.columns;  // the discs fade out, and a mask's edge is a matter of taste
    EXPECT_NEAR(box->left, expected.left, tolerance) << path;
    EXPECT_NEAR(box->top, expected.top, tolerance) << path;
    EXPECT_NEAR(box->width, expected.width, tolerance) << path;
    EXPECT_NEAR(box->height, expected.height, tolerance) << path;
    EXPECT_TRUE(ReadLaterality(path, {{LateralityRule::Source::kImageLaterality, "", ""}}).ok()) << path;
    // The back of the eye is red.
    double sum[3] = {};
    for (size_t i = 0; i < image.rgb.size(); ++i) {
      sum[i % 3] += image.rgb[i];
    }
    EXPECT_GT(sum[0], sum[1]);
    EXPECT_GT(sum[1], sum[2]);
    ++compared;
  }
  EXPECT_GE(compared, 10);
}

}  // namespace
}  // namespace cloister::site
