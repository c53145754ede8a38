// SPDX-License-Identifier: Apache-2.0
// The Secondary Capture Image IOD (PS3.3 A.8.1).

#include "site_agent/serve/secondary_capture.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <fmt/format.h>

#include "site_agent/ingest/dicom_setup.h"
#include "site_agent/serve/result_dataset.h"

namespace cloister::site {
namespace {

constexpr int kMaxSide = 8192;

void Put(DcmItem* item, const DcmTagKey& tag, const char* value) {
  item->putAndInsertString(tag, value);
}

void PutSourceImage(const Source& source, DcmDataset* data) {
  DcmItem* item = nullptr;
  DcmItem* purpose = nullptr;
  if (data->findOrCreateSequenceItem(DCM_SourceImageSequence, item, 0).bad() ||
      item->findOrCreateSequenceItem(DCM_PurposeOfReferenceCodeSequence, purpose, 0).bad()) {
    return;
  }
  Put(item, DCM_ReferencedSOPClassUID, source.header.sop_class_uid.c_str());
  Put(item, DCM_ReferencedSOPInstanceUID, source.header.sop_instance_uid.c_str());
  Put(purpose, DCM_CodeValue, "121322");
  Put(purpose, DCM_CodingSchemeDesignator, "DCM");
  Put(purpose, DCM_CodeMeaning, "Source image for image processing operation");
}

}  // namespace

absl::StatusOr<WrittenInstance> WriteSecondaryCapture(const std::filesystem::path& source_path,
                                                      const ReleaseIdentity& release, const CapturePage& page,
                                                      absl::Time created, const std::filesystem::path& folder) {
  PrepareDicom();
  if (page.rows < 1 || page.rows > kMaxSide || page.columns < 1 || page.columns > kMaxSide) {
    return absl::InvalidArgumentError(fmt::format("a page of {} x {} pixels", page.rows, page.columns));
  }
  if (page.rgb.size() != static_cast<size_t>(page.rows) * page.columns * 3) {
    return absl::InvalidArgumentError(
        fmt::format("{} bytes for a page of {} x {} RGB pixels", page.rgb.size(), page.rows, page.columns));
  }
  CLOISTER_RETURN_IF_ERROR(CheckRelease(release));
  CLOISTER_ASSIGN_OR_RETURN(const Source source, LoadSource(source_path));

  DcmFileFormat file;
  DcmDataset* data = file.getDataset();
  CopyPatientAndStudy(source, data);
  PutSeriesAndEquipment(source, release, ResultKind::kSecondaryCapture, created, data);
  const DicomTime time = ToDicomTime(created);
  Put(data, DCM_SOPClassUID, UID_SecondaryCaptureImageStorage);
  Put(data, DCM_Modality, "OT");
  Put(data, DCM_ConversionType, "WSD");
  Put(data, DCM_DateOfSecondaryCapture, time.date.c_str());
  Put(data, DCM_TimeOfSecondaryCapture, time.time.c_str());
  Put(data, DCM_ImageType, "DERIVED\\SECONDARY");
  Put(data, DCM_DerivationDescription, "Result page of an AI algorithm; not verified by a physician");
  Put(data, DCM_BurnedInAnnotation, "YES");
  Put(data, DCM_LossyImageCompression, "00");
  data->insertEmptyElement(DCM_PatientOrientation, OFTrue);
  data->insertEmptyElement(DCM_Laterality, OFTrue);  // dciodvfy asks for it, although a page has no side
  PutSourceImage(source, data);
  data->putAndInsertUint16(DCM_SamplesPerPixel, 3);
  Put(data, DCM_PhotometricInterpretation, "RGB");
  data->putAndInsertUint16(DCM_PlanarConfiguration, 0);
  data->putAndInsertUint16(DCM_Rows, static_cast<Uint16>(page.rows));
  data->putAndInsertUint16(DCM_Columns, static_cast<Uint16>(page.columns));
  data->putAndInsertUint16(DCM_BitsAllocated, 8);
  data->putAndInsertUint16(DCM_BitsStored, 8);
  data->putAndInsertUint16(DCM_HighBit, 7);
  data->putAndInsertUint16(DCM_PixelRepresentation, 0);
  const OFCondition pixels = data->putAndInsertUint8Array(
      DCM_PixelData, reinterpret_cast<const Uint8*>(page.rgb.data()), static_cast<unsigned long>(page.rgb.size()));
  CLOISTER_RETURN_IF_ERROR(FileStatus(pixels, "cannot make a Secondary Capture"));
  return WriteResult(&file, folder);
}

}  // namespace cloister::site
