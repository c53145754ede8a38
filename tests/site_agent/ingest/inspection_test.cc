// SPDX-License-Identifier: Apache-2.0
// The same picture in every encoding, and files made to hurt.

#include "site_agent/ingest/inspection.h"

#include <dcmtk/dcmdata/dcrleerg.h>
#include <dcmtk/dcmdata/dcrlerp.h>
#include <dcmtk/dcmjpeg/djencode.h>
#include <dcmtk/dcmjpeg/djrplol.h>
#include <dcmtk/dcmjpls/djencode.h>
#include <dcmtk/dcmjpls/djrparam.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "site_agent/ingest/dataset_start.h"
#include "tests/support/make_dicom.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::ElementsAre;
using testing::GreyFile;
using ::testing::HasSubstr;
using testing::MakeDicom;
using ::testing::Not;

class InspectionTest : public ::testing::Test {
 protected:
  std::filesystem::path File(const std::string& name) const { return folder_.path() / name; }
  Inspection Inspect(const GreyFile& grey) {
    EXPECT_TRUE(MakeDicom(grey, File("x.dcm")));
    return InspectFile(File("x.dcm"));
  }
  Inspection InspectBytes(const std::string& bytes) {
    std::ofstream(File("x.dcm"), std::ios::binary) << bytes;
    return InspectFile(File("x.dcm"));
  }
  std::string BytesOf(const GreyFile& grey) {
    EXPECT_TRUE(MakeDicom(grey, File("b.dcm")));
    return *ReadFile(File("b.dcm"));
  }
  std::string Encoded(const GreyFile& grey, E_TransferSyntax syntax, const DcmRepresentationParameter* parameter) {
    DJEncoderRegistration::registerCodecs();
    DJLSEncoderRegistration::registerCodecs();
    DcmRLEEncoderRegistration::registerCodecs();
    EXPECT_TRUE(MakeDicom(grey, File("native.dcm")));
    DcmFileFormat file;
    EXPECT_TRUE(file.loadFile(File("native.dcm").c_str()).good());
    EXPECT_TRUE(file.getDataset()->chooseRepresentation(syntax, parameter).good());
    EXPECT_TRUE(file.saveFile(File("coded.dcm").c_str(), syntax).good());
    return *ReadFile(File("coded.dcm"));
  }
  static GreyFile Gradient() {
    GreyFile grey;
    grey.rows = 64;
    grey.columns = 48;
    for (int i = 0; i < grey.rows * grey.columns; ++i) {
      grey.pixels.push_back(static_cast<uint16_t>((i * 37) % 4096));
    }
    return grey;
  }
  static std::string Deflated(std::string bytes) {
    z_stream stream = {};
    EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&stream, bytes.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
  }
  testing::TempDir folder_;
};

TEST_F(InspectionTest, SaysWhatItIs) {
  GreyFile grey = Gradient();
  grey.change = [](DcmDataset& data) { data.putAndInsertString(DCM_PixelSpacing, "0.5\\0.25"); };
  const Inspection found = Inspect(grey);
  EXPECT_EQ(found.verdict, Verdict::kImage);
  EXPECT_EQ(found.code, "OK");
  EXPECT_EQ(found.message, "");
  EXPECT_EQ(found.modality, "DX");
  EXPECT_EQ(found.rows, 64);
  EXPECT_EQ(found.columns, 48);
  EXPECT_EQ(found.frames, 1);
  EXPECT_EQ(found.bits_stored, 12);
  EXPECT_DOUBLE_EQ(found.pixel_spacing->column_mm, 0.25);
  const std::string bytes(reinterpret_cast<const char*>(grey.pixels.data()), grey.pixels.size() * 2);
  EXPECT_EQ(*found.samples, crypto::Sha256(bytes));  // little endian, as this machine
}

TEST_F(InspectionTest, EveryLosslessEncodingHasTheSameSamples) {
  const GreyFile grey = Gradient();
  const Digest expected = *Inspect(grey).samples;
  for (const E_TransferSyntax syntax :
       {EXS_LittleEndianImplicit, EXS_BigEndianExplicit, EXS_DeflatedLittleEndianExplicit}) {
    GreyFile other = grey;
    other.transfer_syntax = syntax;
    const Inspection found = Inspect(other);
    EXPECT_EQ(found.verdict, Verdict::kImage) << found.message;
    EXPECT_EQ(found.transfer_syntax_uid, DcmXfer(syntax).getXferID());
    EXPECT_EQ(*found.samples, expected) << DcmXfer(syntax).getXferName();
  }
  const DJ_RPLossless jpeg(6, 0);
  const DJLSRepresentationParameter jpeg_ls(0, OFTrue);
  const DcmRLERepresentationParameter rle;
  for (const auto& [syntax, parameter] :
       {std::pair<E_TransferSyntax, const DcmRepresentationParameter*>{EXS_JPEGProcess14SV1, &jpeg},
        {EXS_JPEGLSLossless, &jpeg_ls},
        {EXS_RLELossless, &rle}}) {
    const std::string bytes = Encoded(grey, syntax, parameter);
    const Inspection found = InspectBytes(bytes);
    EXPECT_EQ(found.verdict, Verdict::kImage) << found.message;
    EXPECT_EQ(*found.samples, expected) << DcmXfer(syntax).getXferName();
    // Without the eight bytes of the delimiter it still is all there.
    const Inspection cut = InspectBytes(bytes.substr(0, bytes.size() - 8));
    EXPECT_EQ(cut.code, "OK") << cut.message;
    EXPECT_THAT(cut.notes, ElementsAre(HasSubstr("delimiter")));
    EXPECT_EQ(InspectBytes(bytes.substr(0, bytes.size() - 20)).verdict, Verdict::kRefused);
  }
}

// The decoder of DCMTK reads where the header of the frame points to.
TEST_F(InspectionTest, RleReadsNothingOutsideItsSegments) {
  const GreyFile grey = Gradient();
  const DcmRLERepresentationParameter parameter;
  const std::string bytes = Encoded(grey, EXS_RLELossless, &parameter);
  const size_t frame = bytes.find(std::string("\2\0\0\0\x40\0\0\0", 8));  // two segments, the first at 64
  ASSERT_NE(frame, std::string::npos);
  const auto with = [&](size_t at, uint32_t number) {
    std::string other = bytes;
    std::memcpy(other.data() + at, &number, sizeof(number));
    return other;
  };
  ASSERT_EQ(InspectBytes(with(frame, 2)).code, "OK");
  for (const uint32_t segments : {0u, 1u, 3u, 16u, 0x40000002u, 0xffffffffu}) {
    EXPECT_EQ(InspectBytes(with(frame, segments)).code, "DECODE_FAILED") << segments;
  }
  for (const uint32_t offset : {0u, 63u, 0xf3f308u, 0x7fffffffu, 0xf3f3f308u, 0xffffffffu}) {
    const Inspection first = InspectBytes(with(frame + 4, offset));
    EXPECT_EQ(first.code, "DECODE_FAILED") << offset;
    EXPECT_THAT(first.message, HasSubstr("not within the frame"));
    EXPECT_EQ(InspectBytes(with(frame + 8, offset)).code, "DECODE_FAILED") << offset;
  }
  // Runs that lead out of the segment, and out of the picture.
  std::string runs = bytes;
  std::fill(runs.begin() + static_cast<std::ptrdiff_t>(frame) + 64, runs.end() - 8, '\x7f');
  EXPECT_EQ(InspectBytes(runs).code, "DECODE_FAILED");
  std::fill(runs.begin() + static_cast<std::ptrdiff_t>(frame) + 64, runs.end() - 8, '\x80');  // nothing, for ever
  EXPECT_EQ(InspectBytes(runs).code, "DECODE_FAILED");
  for (const uint32_t size : {0u, 2u, 62u, 64u}) {  // of the only fragment
    EXPECT_EQ(InspectBytes(with(frame - 4, size).substr(0, frame + size)).verdict, Verdict::kRefused) << size;
  }
}

TEST_F(InspectionTest, FramesAndSingleBits) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) {  // 3 frames of 3 x 3 bits: 27, in four bytes
    data.putAndInsertString(DCM_NumberOfFrames, "3");
    data.putAndInsertUint16(DCM_Rows, 3);
    data.putAndInsertUint16(DCM_Columns, 3);
    data.putAndInsertUint16(DCM_BitsAllocated, 1);
    data.putAndInsertUint16(DCM_BitsStored, 1);
    data.putAndInsertUint16(DCM_HighBit, 0);
    const Uint8 bits[] = {0x55, 0xaa, 0x0f, 0xfd};  // the last five bits belong to nobody
    data.putAndInsertUint8Array(DCM_PixelData, bits, 4);
  };
  const Inspection found = Inspect(grey);
  EXPECT_EQ(found.verdict, Verdict::kImage) << found.message;
  EXPECT_EQ(found.frames, 3);
  EXPECT_EQ(*found.samples, crypto::Sha256(std::string("\x55\xaa\x0f\x05", 4)));
  grey.change = [inner = grey.change](DcmDataset& data) {
    inner(data);
    data.putAndInsertString(DCM_NumberOfFrames, "4");
  };
  EXPECT_EQ(Inspect(grey).code, "TRUNCATED");
}

TEST_F(InspectionTest, NativeSubsampledChromaIsRepeated) {
  GreyFile grey;
  grey.change = [](DcmDataset& data) {
    data.putAndInsertUint16(DCM_Rows, 1);
    data.putAndInsertUint16(DCM_Columns, 2);
    data.putAndInsertUint16(DCM_SamplesPerPixel, 3);
    data.putAndInsertUint16(DCM_PlanarConfiguration, 0);
    data.putAndInsertString(DCM_PhotometricInterpretation, "YBR_FULL_422");
    data.putAndInsertUint16(DCM_BitsAllocated, 8);
    data.putAndInsertUint16(DCM_BitsStored, 8);
    data.putAndInsertUint16(DCM_HighBit, 7);
    const Uint8 pixels[] = {1, 2, 3, 4};  // Y1 Y2 Cb Cr
    data.putAndInsertUint8Array(DCM_PixelData, pixels, 4);
  };
  EXPECT_EQ(*Inspect(grey).samples, crypto::Sha256(std::string("\1\3\4\2\3\4", 6)));
}

TEST_F(InspectionTest, UidsAndGeometryAreChecked) {
  const auto code = [&](const std::function<void(DcmDataset&)>& change) {
    GreyFile grey;
    grey.change = change;
    const Inspection found = Inspect(grey);
    EXPECT_TRUE(found.samples.has_value()) << found.code;
    return found.code;
  };
  EXPECT_EQ(code([](DcmDataset& data) { data.findAndDeleteElement(DCM_StudyInstanceUID); }), "MISSING_UID");
  EXPECT_EQ(code([](DcmDataset& data) { data.putAndInsertString(DCM_SOPInstanceUID, "../../etc/passwd"); }),
            "INVALID_UID");
  const auto orientation = [&](const char* value) {
    return code([value](DcmDataset& data) { data.putAndInsertString(DCM_ImageOrientationPatient, value); });
  };
  EXPECT_EQ(orientation("1\\0\\0\\0\\1\\0"), "OK");
  EXPECT_EQ(orientation("0.8\\0.6\\0\\-0.6\\0.8\\0"), "OK");
  EXPECT_EQ(orientation(""), "OK");
  EXPECT_EQ(orientation("1\\0\\0\\0\\1"), "INVALID_GEOMETRY");
  EXPECT_EQ(orientation("1\\0\\0\\1\\0\\0"), "INVALID_GEOMETRY");
  EXPECT_EQ(orientation("1\\0\\0\\0\\x\\0"), "INVALID_GEOMETRY");
  EXPECT_EQ(code([](DcmDataset& data) { data.putAndInsertString(DCM_ImagePositionPatient, "1\\2"); }),
            "INVALID_GEOMETRY");
}

TEST_F(InspectionTest, NothingOfThePatientIsRepeated) {
  GreyFile grey;
  grey.patient_name = "Zhang^San";
  grey.photometric = "Zhang^San";  // a name where a code belongs
  const Inspection refused = Inspect(grey);
  EXPECT_EQ(refused.code, "UNSUPPORTED_PIXEL_FORMAT");
  EXPECT_THAT(refused.message, Not(HasSubstr("Zhang")));
}

TEST_F(InspectionTest, OtherFilesAreNotDicom) {
  EXPECT_EQ(InspectBytes("").code, "NOT_DICOM");
  EXPECT_EQ(InspectBytes("%PDF-1.7 not an image").code, "NOT_DICOM");
  EXPECT_EQ(InspectBytes(std::string(100000, '\0')).code, "NOT_DICOM");
  EXPECT_EQ(InspectFile(File("absent.dcm")).code, "UNREADABLE");
  EXPECT_EQ(InspectFile(folder_.path()).code, "UNREADABLE");
}

TEST_F(InspectionTest, EveryCutIsRefusedOrSaysSo) {
  const std::string bytes = BytesOf(Gradient());
  for (size_t size = 0; size < bytes.size(); size += size < 1200 ? 1 : 97) {
    const Inspection found = InspectBytes(bytes.substr(0, size));
    EXPECT_NE(found.verdict, Verdict::kImage) << size;
  }
}

TEST_F(InspectionTest, LiesAboutTheEncodingAreSeenThrough) {
  GreyFile grey = Gradient();
  std::string bytes = BytesOf(grey);
  const Digest expected = *InspectBytes(bytes).samples;
  const std::string explicit_uid = "1.2.840.10008.1.2.1";
  const size_t at = bytes.find(explicit_uid);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, explicit_uid.size(), std::string("1.2.840.10008.1.2\0\0", 19));
  const Inspection lie = InspectBytes(bytes);
  EXPECT_EQ(lie.code, "OK") << lie.message;
  EXPECT_THAT(lie.notes, ElementsAre(HasSubstr("explicit VR")));
  EXPECT_EQ(*lie.samples, expected);
  bytes.replace(at, explicit_uid.size(), "1.2.3.4.5.6.7.8.9.1");
  EXPECT_EQ(InspectBytes(bytes).code, "UNSUPPORTED_TRANSFER_SYNTAX");
  const Inspection bare = InspectBytes(BytesOf(grey).substr(128 + 4));  // neither preamble nor magic
  EXPECT_EQ(bare.code, "OK") << bare.message;
  EXPECT_EQ(*bare.samples, expected);
}

TEST_F(InspectionTest, LargeClaimsCostNothing) {
  const auto code = [&](const std::function<void(DcmDataset&)>& change) {
    GreyFile grey;
    grey.change = change;
    return Inspect(grey).code;
  };
  EXPECT_EQ(code([](DcmDataset& data) { data.putAndInsertString(DCM_NumberOfFrames, "1000000000"); }), "TRUNCATED");
  EXPECT_EQ(code([](DcmDataset& data) { data.putAndInsertString(DCM_NumberOfFrames, "-3"); }), "UNREADABLE");
  EXPECT_EQ(code([](DcmDataset& data) {
              data.putAndInsertUint16(DCM_Rows, 65535);
              data.putAndInsertUint16(DCM_Columns, 65535);
            }),
            "TOO_LARGE");
}

// DCMTK makes room for what an element of a deflated dataset claims to take.
TEST_F(InspectionTest, ADeflatedElementIsNotLongerThanTheFile) {
  GreyFile grey = Gradient();
  grey.transfer_syntax = EXS_DeflatedLittleEndianExplicit;
  const std::string bytes = BytesOf(grey);
  const size_t start = FindDataset(File("b.dcm"))->offset;
  const std::string dataset = BytesOf(Gradient()).substr(FindDataset(File("b.dcm"))->offset);
  const auto with_pixel_length = [&](uint32_t length) {
    std::string inflated = dataset;
    const size_t pixels = inflated.find(std::string("\xe0\x7f\x10\x00OW\0\0", 8));
    EXPECT_NE(pixels, std::string::npos);
    std::memcpy(inflated.data() + pixels + 8, &length, sizeof(length));
    return InspectBytes(bytes.substr(0, start) + Deflated(inflated));
  };
  EXPECT_EQ(with_pixel_length(64 * 48 * 2).code, "OK");
  for (const uint32_t length : {64u * 48 * 2 + 2, 3587560918u, 0xfffffffeu}) {
    const Inspection found = with_pixel_length(length);
    EXPECT_EQ(found.code, "TRUNCATED") << length;
    EXPECT_THAT(found.message, HasSubstr("within an element"));
  }
}

TEST_F(InspectionTest, AnInflatingFileIsStopped) {
  GreyFile grey;
  grey.transfer_syntax = EXS_DeflatedLittleEndianExplicit;
  std::string bytes = BytesOf(grey);
  const size_t uid = bytes.find("1.2.840.10008.1.2.1.99");
  ASSERT_NE(uid, std::string::npos);
  bytes.resize(uid + 22);
  // One value of 1.1 GiB: (0009,0010) OB.
  const uint32_t length = 1100u << 20;
  std::string head("\x09\x00\x10\x10OB\0\0", 8);
  head.append(reinterpret_cast<const char*>(&length), 4);
  z_stream stream = {};
  ASSERT_EQ(deflateInit2(&stream, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::vector<Bytef> in(1 << 20);
  std::vector<Bytef> out(1 << 20);
  for (uint32_t done = 0; done <= 1100; ++done) {
    stream.next_in = done == 0 ? reinterpret_cast<Bytef*>(head.data()) : in.data();
    stream.avail_in = done == 0 ? static_cast<uInt>(head.size()) : static_cast<uInt>(in.size());
    int result = Z_OK;
    do {
      stream.next_out = out.data();
      stream.avail_out = static_cast<uInt>(out.size());
      result = deflate(&stream, done == 1100 ? Z_FINISH : Z_NO_FLUSH);
      bytes.append(reinterpret_cast<char*>(out.data()), out.size() - stream.avail_out);
    } while (stream.avail_out == 0 || (done == 1100 && result == Z_OK));
  }
  deflateEnd(&stream);
  EXPECT_LT(bytes.size(), size_t{8} << 20);
  const Inspection found = InspectBytes(bytes);
  EXPECT_EQ(found.code, "TOO_LARGE");
  EXPECT_THAT(found.message, HasSubstr("inflated"));
}

}  // namespace
}  // namespace cloister::site
