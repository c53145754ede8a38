// SPDX-License-Identifier: Apache-2.0
// Volumes from slices in any order, what is left out of them, what is refused, and a real series against its NIfTI.

#include "site_agent/ingest/ct_volume.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/support/make_dicom.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::ElementsAre;
using testing::GreyFile;
using ::testing::HasSubstr;

class CtVolumeTest : public ::testing::Test {
 protected:
  // A slice at z whose pixels are all `value` but the first, which is 0; -1024 is added as usual.
  void AddSlice(double z, uint16_t value, const std::function<void(DcmDataset&)>& change = nullptr, double y = 0) {
    GreyFile grey;
    grey.sop_class_uid = UID_CTImageStorage;
    grey.modality = "CT";
    grey.sop_instance_uid = fmt::format("2.25.100.1.{}", files_.size() + 1);
    grey.pixels.assign(16, value);
    grey.pixels[0] = 0;
    grey.change = [&](DcmDataset& data) {
      data.putAndInsertString(DCM_ImageType, "ORIGINAL\\PRIMARY\\AXIAL");
      data.putAndInsertString(DCM_ImagePositionPatient, fmt::format("10\\{}\\{}", y, z).c_str());
      data.putAndInsertString(DCM_ImageOrientationPatient, "1\\0\\0\\0\\1\\0");
      data.putAndInsertString(DCM_PixelSpacing, "2\\3");
      data.putAndInsertString(DCM_RescaleIntercept, "-1024");
      data.putAndInsertString(DCM_RescaleSlope, "1");
      if (change) {
        change(data);
      }
    };
    files_.push_back(folder_.path() / fmt::format("{}.dcm", files_.size()));
    ASSERT_TRUE(testing::MakeDicom(grey, files_.back()));
  }
  CtVolume Volume() {
    CtSeries series = LoadCtSeries(files_);
    left_out_ = series.left_out;
    if (const auto* refusal = std::get_if<SeriesRefusal>(&series.volume)) {
      ADD_FAILURE() << refusal->code << ": " << refusal->message << " " << ::testing::PrintToString(Codes());
      return {};
    }
    return std::get<CtVolume>(std::move(series.volume));
  }
  std::string Refusal() {
    CtSeries series = LoadCtSeries(files_);
    left_out_ = series.left_out;
    const auto* refusal = std::get_if<SeriesRefusal>(&series.volume);
    return refusal == nullptr ? "" : refusal->code;
  }
  std::vector<std::string> Codes() const {
    std::vector<std::string> codes;
    for (const LeftOut& one : left_out_) {
      codes.push_back(one.code);
    }
    return codes;
  }
  // The second pixel of each slice.
  static std::vector<float> Column(const CtVolume& volume) {
    std::vector<float> values;
    for (int i = 0; i < volume.slices; ++i) {
      values.push_back(volume.hu[static_cast<size_t>(i) * 16 + 1]);
    }
    return values;
  }

  testing::TempDir folder_;
  std::vector<std::filesystem::path> files_;
  std::vector<LeftOut> left_out_;
};

TEST_F(CtVolumeTest, SlicesInAnyOrderBecomeOneVolume) {
  for (const double z : {7.0, -5.0, 1.0, 4.0, -2.0}) {
    AddSlice(z, static_cast<uint16_t>(1000 + z));
  }
  const CtVolume volume = Volume();
  EXPECT_EQ(volume.slices, 5);
  EXPECT_EQ(volume.rows, 4);
  EXPECT_THAT(Column(volume), ElementsAre(-29, -26, -23, -20, -17));
  EXPECT_EQ(volume.hu[0], -1024);
  EXPECT_DOUBLE_EQ(volume.slice_spacing_mm, 3);
  EXPECT_DOUBLE_EQ(volume.row_spacing_mm, 2);
  EXPECT_DOUBLE_EQ(volume.column_spacing_mm, 3);
  EXPECT_THAT(volume.origin_mm, ElementsAre(10, 0, -5));
  EXPECT_THAT(volume.normal, ElementsAre(0, 0, 1));
  EXPECT_EQ(volume.gantry_tilt_degrees, 0);
  EXPECT_TRUE(left_out_.empty());
}

TEST_F(CtVolumeTest, WhatIsNoSliceIsLeftOut) {
  for (int i = 0; i < 4; ++i) {
    AddSlice(i, 1000);
  }
  const auto with = [](const DcmTagKey& tag, const char* value) {
    return [=](DcmDataset& data) { data.putAndInsertString(tag, value); };
  };
  AddSlice(0, 1, with(DCM_ImageType, "ORIGINAL\\PRIMARY\\LOCALIZER"));
  AddSlice(0, 1, with(DCM_ImageType, "DERIVED\\SECONDARY\\MPR"));
  AddSlice(0, 1, with(DCM_ImageType, "DERIVED\\SECONDARY\\OTHER\\CSA MPR"));
  AddSlice(0, 1, with(DCM_ImageType, "DERIVED\\SECONDARY\\SCREEN SAVE"));
  AddSlice(0, 1, with(DCM_Modality, "SR"));
  AddSlice(0, 1, with(DCM_ImagePositionPatient, ""));
  AddSlice(0, 1, with(DCM_ImageOrientationPatient, "0\\1\\0\\0\\0\\-1"));
  AddSlice(0, 1, with(DCM_PixelSpacing, "1\\1"));
  AddSlice(0, 1, with(DCM_SeriesInstanceUID, "2.25.100.2"));
  AddSlice(2, 1000);  // the same picture at the same place
  files_.push_back(folder_.path() / "absent.dcm");
  const CtVolume volume = Volume();
  EXPECT_EQ(volume.slices, 4);
  EXPECT_THAT(Codes(), ::testing::UnorderedElementsAre("LOCALIZER", "REFORMATTED", "REFORMATTED", "NOT_A_SLICE",
                                                       "NOT_CT", "NO_POSITION", "OTHER_ORIENTATION", "OTHER_GRID",
                                                       "OTHER_SERIES", "DUPLICATE_SLICE", "UNREADABLE"));
}

TEST_F(CtVolumeTest, ASliceThatCannotBeDecodedLeavesAGap) {
  for (int i = 0; i < 6; ++i) {
    AddSlice(i, 1000, [&](DcmDataset& data) {
      if (i == 3) {
        data.putAndInsertUint16(DCM_BitsAllocated, 12);
      }
    });
  }
  EXPECT_EQ(Refusal(), "SLICE_GAP");
  EXPECT_THAT(Codes(), ElementsAre("UNSUPPORTED_PIXEL_FORMAT"));
}

TEST_F(CtVolumeTest, SpacingIsOfTheWholeSeries) {
  for (const double z : {0.0, 1.0, 2.04, 3.0, 4.0}) {  // rounded, as scanners do
    AddSlice(z, 1000);
  }
  EXPECT_DOUBLE_EQ(Volume().slice_spacing_mm, 1);
  AddSlice(5.2, 1000);
  EXPECT_EQ(Refusal(), "IRREGULAR_SPACING");
  AddSlice(9, 1000);
  EXPECT_EQ(Refusal(), "SLICE_GAP");
}

TEST_F(CtVolumeTest, TwoPicturesAtOnePlaceAreNotGuessedAt) {
  for (int i = 0; i < 4; ++i) {
    AddSlice(i, 1000);
  }
  AddSlice(2, 1001);
  EXPECT_EQ(Refusal(), "CONFLICTING_SLICES");
}

TEST_F(CtVolumeTest, TooLittleIsNoVolume) {
  EXPECT_EQ(Refusal(), "NO_SLICES");
  AddSlice(0, 1000);
  AddSlice(1, 1000);
  EXPECT_EQ(Refusal(), "TOO_FEW_SLICES");
}

TEST_F(CtVolumeTest, PaddingIsAirAndSignedValuesAreNumbers) {
  for (int i = 0; i < 3; ++i) {
    AddSlice(i, 0xf830, [](DcmDataset& data) {  // -2000 in 16 bits
      data.putAndInsertUint16(DCM_BitsStored, 16);
      data.putAndInsertUint16(DCM_HighBit, 15);
      data.putAndInsertUint16(DCM_PixelRepresentation, 1);
      data.putAndInsertString(DCM_RescaleIntercept, "0");
      data.putAndInsertSint16(DcmTag(DCM_PixelPaddingValue, EVR_SS), -2000);
    });
  }
  const CtVolume volume = Volume();
  EXPECT_EQ(volume.hu[0], 0);
  EXPECT_EQ(volume.hu[1], -1024);
}

// The table moves along y by one row (2 mm) a slice of 2 mm: a tilt of 45 degrees.
TEST_F(CtVolumeTest, ATiltedGantryIsSetUpright) {
  for (int i = 0; i < 3; ++i) {
    AddSlice(
        2.0 * i, 1000,
        [&](DcmDataset& data) {
          std::vector<Uint16> pixels(16, 0);
          for (size_t x = 0; x < 4; ++x) {
            pixels[static_cast<size_t>(2 - i) * 4 + x] = 2000;  // one line of the patient, seen ever further up
          }
          data.putAndInsertUint16Array(DCM_PixelData, pixels.data(), 16);
        },
        2.0 * i);
  }
  const CtVolume volume = Volume();
  EXPECT_NEAR(volume.gantry_tilt_degrees, 45, 1e-6);
  EXPECT_DOUBLE_EQ(volume.slice_spacing_mm, 2);
  for (size_t slice = 0; slice < 3; ++slice) {
    for (size_t row = 0; row < 4; ++row) {
      EXPECT_FLOAT_EQ(volume.hu[slice * 16 + row * 4], row == 2 ? 976 : -1024) << slice << row;
    }
  }
}

TEST_F(CtVolumeTest, FramesOfAnEnhancedCt) {
  GreyFile grey;
  grey.sop_class_uid = UID_EnhancedCTImageStorage;
  grey.modality = "CT";
  grey.rows = 12;  // three frames of 4 x 4, made shorter below
  for (uint16_t i = 0; i < 48; ++i) {
    grey.pixels.push_back(static_cast<uint16_t>(1000 + i / 16));
  }
  grey.change = [](DcmDataset& data) {
    data.putAndInsertUint16(DCM_Rows, 4);
    data.putAndInsertString(DCM_NumberOfFrames, "3");
    data.putAndInsertString(DCM_ImageType, "ORIGINAL\\PRIMARY\\VOLUME\\NONE");
    DcmItem* shared = nullptr;
    DcmItem* macro = nullptr;
    data.findOrCreateSequenceItem(DCM_SharedFunctionalGroupsSequence, shared);
    shared->findOrCreateSequenceItem(DCM_PixelMeasuresSequence, macro);
    macro->putAndInsertString(DCM_PixelSpacing, "2\\3");
    shared->findOrCreateSequenceItem(DCM_PlaneOrientationSequence, macro);
    macro->putAndInsertString(DCM_ImageOrientationPatient, "1\\0\\0\\0\\1\\0");
    for (int i = 0; i < 3; ++i) {
      DcmItem* frame = nullptr;
      data.findOrCreateSequenceItem(DCM_PerFrameFunctionalGroupsSequence, frame, -2);
      frame->findOrCreateSequenceItem(DCM_PlanePositionSequence, macro);
      macro->putAndInsertString(DCM_ImagePositionPatient, fmt::format("0\\0\\{}", -2 * i).c_str());
      frame->findOrCreateSequenceItem(DCM_PixelValueTransformationSequence, macro);
      macro->putAndInsertString(DCM_RescaleIntercept, "-1000");
      macro->putAndInsertString(DCM_RescaleSlope, "10");
    }
  };
  files_.push_back(folder_.path() / "enhanced.dcm");
  ASSERT_TRUE(testing::MakeDicom(grey, files_.back()));
  const CtVolume volume = Volume();
  EXPECT_EQ(volume.slices, 3);
  EXPECT_DOUBLE_EQ(volume.slice_spacing_mm, 2);
  EXPECT_THAT(volume.origin_mm, ElementsAre(0, 0, -4));
  EXPECT_THAT(Column(volume), ElementsAre(9020, 9010, 9000));  // from the feet up
}

// A single-file NIfTI-1 (gzip): its first three dimensions, affine and voxels as float.
struct Nifti {
  std::array<int, 3> size{};
  float affine[3][4] = {};
  std::vector<float> voxels;
};

Nifti ReadNifti(const std::filesystem::path& path) {
  std::vector<char> bytes;
  gzFile in = gzopen(path.c_str(), "rb");
  char chunk[65536];
  for (int got = 0; in != nullptr && (got = gzread(in, chunk, sizeof(chunk))) > 0;) {
    bytes.insert(bytes.end(), chunk, chunk + got);
  }
  gzclose(in);
  Nifti nifti;
  int16_t dimensions[8];
  int16_t type = 0;
  float offset = 0;
  std::memcpy(dimensions, bytes.data() + 40, sizeof(dimensions));
  std::memcpy(&type, bytes.data() + 70, 2);
  std::memcpy(&offset, bytes.data() + 108, 4);
  std::memcpy(nifti.affine, bytes.data() + 280, sizeof(nifti.affine));
  nifti.size = {dimensions[1], dimensions[2], dimensions[3]};
  nifti.voxels.resize(static_cast<size_t>(dimensions[1]) * dimensions[2] * dimensions[3]);
  for (size_t i = 0; i < nifti.voxels.size(); ++i) {
    const char* at = bytes.data() + static_cast<size_t>(offset);
    if (type == 4) {
      int16_t value = 0;
      std::memcpy(&value, at + 2 * i, 2);
      nifti.voxels[i] = value;
    } else {
      nifti.voxels[i] = static_cast<unsigned char>(at[i]);
    }
  }
  return nifti;
}

std::vector<std::filesystem::path> FilesOf(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  return files;  // in whatever order the folder has them
}

// The place of voxel (slice, row, column) in the NIfTI's right-anterior-superior coordinates.
std::array<double, 3> PlaceOf(const CtVolume& volume, int slice, int row, int column) {
  std::array<double, 3> place{};
  for (size_t k = 0; k < 3; ++k) {
    const double lps = volume.origin_mm[k] + slice * volume.slice_spacing_mm * volume.normal[k] +
                       row * volume.row_spacing_mm * volume.row_direction[k] +
                       column * volume.column_spacing_mm * volume.column_direction[k];
    place[k] = k < 2 ? -lps : lps;
  }
  return place;
}

// The index of the voxel at `place` in a NIfTI whose axes are parallel to the patient's.
std::array<int, 3> IndexOf(const Nifti& nifti, const std::array<double, 3>& place) {
  std::array<int, 3> index{};
  for (size_t k = 0; k < 3; ++k) {
    const double exact = (place[k] - nifti.affine[k][3]) / nifti.affine[k][k];
    index[k] = static_cast<int>(std::lround(exact));
    EXPECT_NEAR(exact, index[k], 1e-3);
  }
  return index;
}

TEST(CtAbdomenTest, VolumeAndNiftiAreTheSame) {
  const auto folder = testing::SharedData() / "ct_abdomen";
  if (!std::filesystem::exists(folder / "nifti")) {
    GTEST_SKIP() << "no ct_abdomen at " << folder << " (set CLOISTER_DATA)";
  }
  const CtSeries series = LoadCtSeries(FilesOf(folder / "dicom_synthetic_header_112slices"));
  ASSERT_TRUE(std::holds_alternative<CtVolume>(series.volume)) << std::get<SeriesRefusal>(series.volume).message;
  const CtVolume& volume = std::get<CtVolume>(series.volume);
  const Nifti nifti = ReadNifti(folder / "nifti" / "ct_3mm.nii.gz");
  ASSERT_THAT(nifti.size, ElementsAre(volume.columns, volume.rows, volume.slices));
  EXPECT_NEAR(volume.slice_spacing_mm, 3, 1e-4);
  size_t at = 0;
  for (int slice = 0; slice < volume.slices; ++slice) {
    for (int row = 0; row < volume.rows; ++row) {
      const auto [i, j, k] = IndexOf(nifti, PlaceOf(volume, slice, row, 0));
      for (int column = 0; column < volume.columns; ++column, ++at) {  // the NIfTI runs from right to left
        const size_t there = static_cast<size_t>((k * nifti.size[1] + j) * nifti.size[0] + i - column);
        ASSERT_EQ(volume.hu[at], std::clamp(nifti.voxels[there], -1024.0f, 3071.0f)) << slice << " " << row;
      }
    }
  }
}

TEST(CtAbdomenTest, AJpeg2000SeriesLiesWhereItsLabelMapIs) {
  const auto folder = testing::SharedData() / "ct_abdomen";
  if (!std::filesystem::exists(folder / "nifti")) {
    GTEST_SKIP() << "no ct_abdomen at " << folder << " (set CLOISTER_DATA)";
  }
  const CtSeries series = LoadCtSeries(FilesOf(folder / "dicom_basel_20slices_j2k"));
  ASSERT_TRUE(std::holds_alternative<CtVolume>(series.volume)) << std::get<SeriesRefusal>(series.volume).message;
  const CtVolume& volume = std::get<CtVolume>(series.volume);
  const Nifti labels = ReadNifti(folder / "nifti" / "seg_total_v2_for_dicom_basel.nii.gz");
  ASSERT_THAT(labels.size, ElementsAre(volume.columns, volume.rows, volume.slices));
  EXPECT_NEAR(volume.slice_spacing_mm, 2, 1e-6);
  EXPECT_TRUE(series.left_out.empty());
  // Bone under the vertebra labels (25 to 50 in version 2) is denser than all that is labelled.
  double vertebrae = 0;
  double labelled = 0;
  int vertebra_voxels = 0;
  int labelled_voxels = 0;
  size_t at = 0;
  for (int slice = 0; slice < volume.slices; ++slice) {
    for (int row = 0; row < volume.rows; ++row) {
      const auto [i, j, k] = IndexOf(labels, PlaceOf(volume, slice, row, 0));
      for (int column = 0; column < volume.columns; ++column, ++at) {
        const float label = labels.voxels[static_cast<size_t>((k * labels.size[1] + j) * labels.size[0] + i + column)];
        if (label > 0) {
          labelled += volume.hu[at];
          ++labelled_voxels;
        }
        if (label >= 25 && label <= 50) {
          vertebrae += volume.hu[at];
          ++vertebra_voxels;
        }
      }
    }
  }
  ASSERT_GT(vertebra_voxels, 1000);
  EXPECT_GT(vertebrae / vertebra_voxels, labelled / labelled_voxels + 50);
  EXPECT_GT(vertebrae / vertebra_voxels, 150);  // HU of spongy and cortical bone together
}

}  // namespace
}  // namespace cloister::site
