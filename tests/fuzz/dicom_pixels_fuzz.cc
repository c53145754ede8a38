// SPDX-License-Identifier: Apache-2.0
// What a worker does with a file from a PACS: header, every frame, and what leaves it de-identified.
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcrleerg.h>
#include <dcmtk/dcmdata/dcrlerp.h>
#include <dcmtk/dcmjpeg/djencode.h>
#include <dcmtk/dcmjpeg/djrplol.h>
#include <dcmtk/dcmjpls/djencode.h>
#include <dcmtk/dcmjpls/djrparam.h>

#include "protocols/base/file.h"
#include "site_agent/deidentify/deidentifier.h"
#include "site_agent/ingest/colour_image.h"
#include "site_agent/ingest/dicom_image.h"
#include "site_agent/ingest/inspection.h"
#include "tests/fuzz/memory_file.h"
#include "tests/support/make_dicom.h"

namespace cloister::fuzz {
namespace {

site::Deidentifier MakeDeidentifier() {
  static const crypto::SecretBytes secret = crypto::SecretBytes::CopyOf("a site's secret");
  site::DeidentifyProfile profile;
  profile.options = {std::begin(site::kDeidentifyOptions), std::end(site::kDeidentifyOptions)};
  profile.burned_in = {{"DX", "", "", 0, 0, {{1, 1, 2, 2}}}};
  absl::StatusOr<site::Deidentifier> deidentifier = site::Deidentifier::Create(std::move(profile), &secret);
  Require(deidentifier.ok(), "there is a table");
  return *std::move(deidentifier);
}

Bytes Encoded(const testing::GreyFile& grey, E_TransferSyntax syntax, const DcmRepresentationParameter* parameter) {
  const MemoryFile native("");
  const MemoryFile encoded("");
  Require(testing::MakeDicom(grey, native.path()), "DCMTK writes a file");
  DcmFileFormat file;
  Require(file.loadFile(native.path().c_str()).good() &&
              file.getDataset()->chooseRepresentation(syntax, parameter).good() &&
              file.saveFile(encoded.path().c_str(), syntax).good(),
          "DCMTK encodes a file");
  return *ReadFile(encoded.path());
}

}  // namespace

void FuzzOne(ByteView input) {
  static const site::Deidentifier deidentifier = MakeDeidentifier();
  const MemoryFile file(input);
  const site::Inspection inspection = site::InspectFile(file.path());
  Require(!inspection.code.empty(), "every file gets a code");
  Require((inspection.verdict == site::Verdict::kImage) == (inspection.code == "OK"), "only an image is OK");
  const auto image = site::DecodeGrayscale(file.path(), {});
  if (const auto* decoded = std::get_if<site::DecodedImage>(&image)) {
    Require(decoded->pixels.size() == size_t{1} * decoded->rows * decoded->columns, "an image has all its pixels");
  }
  const MemoryFile cleaned("");
  if (deidentifier.File(file.path(), cleaned.path()).ok()) {
    const site::Inspection after = site::InspectFile(cleaned.path());
    Require(inspection.code != "OK" || after.code == "OK", "an image stays one when it is de-identified");
  }
}

std::vector<Bytes> Seeds() {
  DJEncoderRegistration::registerCodecs();
  DJLSEncoderRegistration::registerCodecs();
  DcmRLEEncoderRegistration::registerCodecs();
  const DJ_RPLossless jpeg(6, 0);
  const DJLSRepresentationParameter jpeg_ls(0, OFTrue);
  const DcmRLERepresentationParameter rle;
  testing::GreyFile grey;
  grey.change = [](DcmDataset& data) {
    data.putAndInsertString(DCM_NumberOfFrames, "1");
    data.putAndInsertString(DCM_WindowCenter, "8");
    data.putAndInsertString(DCM_WindowWidth, "16");
    data.putAndInsertString(DCM_RescaleSlope, "2");
    data.putAndInsertString(DCM_RescaleIntercept, "-3");
    data.putAndInsertString(DCM_ImagePositionPatient, "0\\0\\0");
    data.putAndInsertString(DCM_ImageOrientationPatient, "1\\0\\0\\0\\1\\0");
  };
  return {Encoded(grey, EXS_LittleEndianExplicit, nullptr), Encoded(grey, EXS_BigEndianExplicit, nullptr),
          Encoded(grey, EXS_RLELossless, &rle), Encoded(grey, EXS_JPEGProcess14SV1, &jpeg),
          Encoded(grey, EXS_JPEGLSLossless, &jpeg_ls)};
}

}  // namespace cloister::fuzz
