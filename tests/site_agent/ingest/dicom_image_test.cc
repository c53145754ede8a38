// SPDX-License-Identifier: Apache-2.0
// Pixels: windows, LUTs, inversion, signs, colour, limits, and a reason for what cannot be decoded.

#include "site_agent/ingest/dicom_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "tests/support/make_dicom.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using testing::GreyFile;
using testing::MakeDicom;
using ::testing::Pointwise;

class DicomImageTest : public ::testing::Test {
 protected:
  std::variant<DecodedImage, Rejection> Decode(const GreyFile& grey, const DecodeOptions& options = {}) {
    EXPECT_TRUE(MakeDicom(grey, path_));
    return DecodeGrayscale(path_, options);
  }
  DecodedImage Image(const GreyFile& grey, const DecodeOptions& options = {}) {
    auto outcome = Decode(grey, options);
    if (const auto* rejection = std::get_if<Rejection>(&outcome)) {
      ADD_FAILURE() << RejectReasonName(rejection->reason) << ": " << rejection->message;
      return {};
    }
    return std::get<DecodedImage>(std::move(outcome));
  }
  std::string Reason(const std::variant<DecodedImage, Rejection>& outcome) {
    const auto* rejection = std::get_if<Rejection>(&outcome);
    return rejection == nullptr ? "decoded" : std::string(RejectReasonName(rejection->reason));
  }
  static GreyFile TwoByTwo(std::vector<uint16_t> pixels) {
    GreyFile grey;
    grey.rows = 2;
    grey.columns = 2;
    grey.pixels = std::move(pixels);
    return grey;
  }
  testing::TempDir folder_;
  std::filesystem::path path_ = folder_.path() / "x.dcm";
};

TEST_F(DicomImageTest, WithoutWindowMinimumToMaximum) {
  const DecodedImage image = Image(TwoByTwo({100, 200, 300, 500}));
  EXPECT_EQ(image.rows, 2);
  EXPECT_EQ(image.bits_stored, 12);
  EXPECT_THAT(image.pixels, Pointwise(FloatNear(1e-6f), {0.0f, 0.25f, 0.5f, 1.0f}));
}

TEST_F(DicomImageTest, Monochrome1IsInvertedAfterTheWindow) {
  GreyFile grey = TwoByTwo({100, 200, 300, 500});
  grey.photometric = "MONOCHROME1";
  const DecodedImage image = Image(grey);
  EXPECT_TRUE(image.was_inverted);
  EXPECT_THAT(image.pixels, Pointwise(FloatNear(1e-6f), {1.0f, 0.75f, 0.5f, 0.0f}));
}

TEST_F(DicomImageTest, LinearWindowAsTheStandardHasIt) {
  GreyFile grey = TwoByTwo({0, 2048, 4095, 1024});
  grey.change = [](DcmDataset& data) {
    data.putAndInsertString(DCM_WindowCenter, "2048");
    data.putAndInsertString(DCM_WindowWidth, "4096");
  };
  // PS3.3 C.11.2.1.2.1: center 2048, width 4096 maps 0 to 0 and 4095 to 1.
  EXPECT_THAT(Image(grey).pixels, Pointwise(FloatNear(1e-6f), {0.0f, 2048 / 4095.0f, 1.0f, 1024 / 4095.0f}));
}

TEST_F(DicomImageTest, SignedHounsfieldUnits) {
  GreyFile grey = TwoByTwo({0x0fff, 0, 1, 0x0800});  // 12 bits: -1, 0, 1, -2048
  grey.is_signed = true;
  grey.change = [](DcmDataset& data) {
    data.putAndInsertString(DCM_RescaleSlope, "2");
    data.putAndInsertString(DCM_RescaleIntercept, "-10");
  };
  DecodeOptions options;
  options.values = PixelValues::kModality;
  EXPECT_THAT(Image(grey, options).pixels, ElementsAre(-12, -10, -8, -4106));
  options.values = PixelValues::kDisplay;
  options.window = DecodeOptions::Window{-10, 8};
  EXPECT_THAT(Image(grey, options).pixels, Pointwise(FloatNear(1e-6f), {0.25f, 0.5f, 0.75f, 0.0f}));
}

TEST_F(DicomImageTest, AnEmptyOrZeroSlopeChangesNothing) {
  for (const char* slope : {"", "0"}) {
    GreyFile grey = TwoByTwo({1, 2, 3, 4});
    grey.change = [&](DcmDataset& data) { data.putAndInsertString(DCM_RescaleSlope, slope); };
    DecodeOptions options;
    options.values = PixelValues::kModality;
    EXPECT_THAT(Image(grey, options).pixels, ElementsAre(1, 2, 3, 4));
  }
}

TEST_F(DicomImageTest, VoiLut) {
  GreyFile grey = TwoByTwo({9, 10, 11, 500});
  grey.change = [](DcmDataset& data) {
    DcmItem* item = nullptr;
    data.findOrCreateSequenceItem(DCM_VOILUTSequence, item, -2);
    const Uint16 descriptor[] = {3, 10, 10};
    const Uint16 entries[] = {0, 341, 1023};
    DcmElement* element = new DcmUnsignedShort(DcmTag(DCM_LUTDescriptor, EVR_US));
    element->putUint16Array(descriptor, 3);
    item->insert(element);
    element = new DcmUnsignedShort(DcmTag(DCM_LUTData, EVR_US));
    element->putUint16Array(entries, 3);
    item->insert(element);
  };
  EXPECT_THAT(Image(grey).pixels, Pointwise(FloatNear(1e-6f), {0.0f, 0.0f, 341 / 1023.0f, 1.0f}));
}

TEST_F(DicomImageTest, PaddingDoesNotStretchTheRange) {
  GreyFile grey = TwoByTwo({0, 100, 150, 200});
  grey.change = [](DcmDataset& data) { data.putAndInsertUint16(DCM_PixelPaddingValue, 0); };
  EXPECT_THAT(Image(grey).pixels, Pointwise(FloatNear(1e-6f), {0.0f, 0.0f, 0.5f, 1.0f}));
}

TEST_F(DicomImageTest, RgbBecomesLuma) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) {
    data.putAndInsertUint16(DCM_Rows, 1);
    data.putAndInsertUint16(DCM_Columns, 2);
    data.putAndInsertUint16(DCM_SamplesPerPixel, 3);
    data.putAndInsertUint16(DCM_PlanarConfiguration, 1);
    data.putAndInsertString(DCM_PhotometricInterpretation, "RGB");
    data.putAndInsertUint16(DCM_BitsAllocated, 8);
    data.putAndInsertUint16(DCM_BitsStored, 8);
    data.putAndInsertUint16(DCM_HighBit, 7);
    const Uint8 planes[] = {255, 0, 0, 0, 0, 255};  // red, blue
    data.putAndInsertUint8Array(DCM_PixelData, planes, 6);
  };
  const DecodedImage image = Image(grey);
  EXPECT_TRUE(image.was_colour);
  EXPECT_THAT(image.pixels, Pointwise(FloatNear(1e-5f), {0.299f, 0.114f}));
}

TEST_F(DicomImageTest, SpacingSaysWhereItWasMeasured) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) { data.putAndInsertString(DCM_ImagerPixelSpacing, "0.2\\0.1"); };
  const DecodedImage image = Image(grey);
  ASSERT_TRUE(image.pixel_spacing.has_value());
  EXPECT_TRUE(image.pixel_spacing->at_detector);
  EXPECT_DOUBLE_EQ(image.pixel_spacing->row_mm, 0.2);
  EXPECT_DOUBLE_EQ(image.pixel_spacing->column_mm, 0.1);
  grey.change = [](DcmDataset& data) { data.putAndInsertString(DCM_PixelSpacing, "-1\\0"); };
  EXPECT_FALSE(Image(grey).pixel_spacing.has_value());
}

TEST_F(DicomImageTest, EveryRejectionHasItsReason) {
  EXPECT_EQ(Reason(DecodeGrayscale(folder_.path() / "none.dcm")), "UNREADABLE");
  GreyFile grey;
  grey.change = [](DcmDataset& data) { data.findAndDeleteElement(DCM_PixelData); };
  EXPECT_EQ(Reason(Decode(grey)), "NO_PIXEL_DATA");
  grey.change = [](DcmDataset& data) { data.putAndInsertUint16(DCM_Rows, 5); };
  EXPECT_EQ(Reason(Decode(grey)), "TRUNCATED");
  grey.change = [](DcmDataset& data) { data.putAndInsertUint16(DCM_BitsAllocated, 12); };
  EXPECT_EQ(Reason(Decode(grey)), "UNSUPPORTED_PIXEL_FORMAT");
  grey.change = [](DcmDataset& data) { data.putAndInsertString(DCM_PhotometricInterpretation, "MONOCHROME3"); };
  EXPECT_EQ(Reason(Decode(grey)), "UNSUPPORTED_PIXEL_FORMAT");
  grey.change = nullptr;
  DecodeOptions small;
  small.max_columns = 3;
  EXPECT_EQ(Reason(Decode(grey, small)), "TOO_LARGE");
  small = DecodeOptions();
  small.max_file_bytes = 100;
  EXPECT_EQ(Reason(Decode(grey, small)), "TOO_LARGE");
  DecodeOptions second;
  second.frame = 1;
  EXPECT_EQ(Reason(Decode(grey, second)), "UNREADABLE");
}

TEST_F(DicomImageTest, AFileCutInItsPixelsIsTruncated) {
  GreyFile grey;
  grey.rows = 64;
  grey.columns = 64;
  ASSERT_TRUE(MakeDicom(grey, path_));
  const auto bytes = ReadFile(path_);
  ASSERT_TRUE(bytes.ok());
  ASSERT_TRUE(WriteFileAtomically(path_, bytes->substr(0, bytes->size() - 1000)).ok());
  EXPECT_EQ(Reason(DecodeGrayscale(path_)), "TRUNCATED");
}

}  // namespace
}  // namespace cloister::site
