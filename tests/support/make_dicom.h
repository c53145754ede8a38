#pragma once
// SPDX-License-Identifier: Apache-2.0
// Small DICOM files for tests: a valid grey image whose attributes a test then changes.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace cloister::testing {

struct GreyFile {
  std::string sop_class_uid = UID_DigitalXRayImageStorageForPresentation;
  std::string modality = "DX";
  std::string study_instance_uid = "2.25.100";
  std::string series_instance_uid = "2.25.100.1";
  std::string sop_instance_uid = "2.25.100.1.1";
  std::string specific_character_set = "ISO_IR 100";
  std::string patient_name = "Doe^Jane";
  std::string patient_id = "P1";
  std::string accession_number = "A1";
  int rows = 4;
  int columns = 4;
  int bits_stored = 12;
  bool is_signed = false;
  std::string photometric = "MONOCHROME2";
  std::vector<uint16_t> pixels;  // rows * columns; empty: 0, 1, 2, ...
  E_TransferSyntax transfer_syntax = EXS_LittleEndianExplicit;
  std::function<void(DcmDataset&)> change;  // last, before saving
};

// Writes `grey` to `path`; false when DCMTK refuses.
inline bool MakeDicom(const GreyFile& grey, const std::filesystem::path& path) {
  DcmFileFormat file;
  DcmDataset& data = *file.getDataset();
  const auto put = [&](const DcmTagKey& tag, const std::string& value) {
    data.putAndInsertOFStringArray(tag, OFString(value.c_str(), value.size()));
  };
  put(DCM_SpecificCharacterSet, grey.specific_character_set);
  put(DCM_ImageType, "ORIGINAL\\PRIMARY");
  put(DCM_SOPClassUID, grey.sop_class_uid);
  put(DCM_SOPInstanceUID, grey.sop_instance_uid);
  put(DCM_StudyDate, "20240229");
  put(DCM_StudyTime, "081530");
  put(DCM_AccessionNumber, grey.accession_number);
  put(DCM_Modality, grey.modality);
  put(DCM_PresentationIntentType, "FOR PRESENTATION");
  put(DCM_Manufacturer, "Acme");
  put(DCM_ReferringPhysicianName, "");
  put(DCM_PatientName, grey.patient_name);
  put(DCM_PatientID, grey.patient_id);
  put(DCM_PatientBirthDate, "19700131");
  put(DCM_PatientSex, "F");
  put(DCM_PatientAge, "054Y");
  put(DCM_BodyPartExamined, "CHEST");
  put(DCM_ViewPosition, "PA");
  put(DCM_StudyInstanceUID, grey.study_instance_uid);
  put(DCM_SeriesInstanceUID, grey.series_instance_uid);
  put(DCM_StudyID, "S1");
  put(DCM_SeriesNumber, "3");
  put(DCM_InstanceNumber, "7");
  data.putAndInsertUint16(DCM_SamplesPerPixel, 1);
  put(DCM_PhotometricInterpretation, grey.photometric);
  data.putAndInsertUint16(DCM_Rows, static_cast<Uint16>(grey.rows));
  data.putAndInsertUint16(DCM_Columns, static_cast<Uint16>(grey.columns));
  data.putAndInsertUint16(DCM_BitsAllocated, 16);
  data.putAndInsertUint16(DCM_BitsStored, static_cast<Uint16>(grey.bits_stored));
  data.putAndInsertUint16(DCM_HighBit, static_cast<Uint16>(grey.bits_stored - 1));
  data.putAndInsertUint16(DCM_PixelRepresentation, grey.is_signed ? 1 : 0);
  std::vector<Uint16> pixels(grey.pixels.begin(), grey.pixels.end());
  for (int i = 0; pixels.size() < static_cast<size_t>(grey.rows) * grey.columns; ++i) {
    pixels.push_back(static_cast<Uint16>(i));
  }
  data.putAndInsertUint16Array(DCM_PixelData, pixels.data(), static_cast<unsigned long>(pixels.size()));
  if (grey.change) {
    grey.change(data);
  }
  return file.saveFile(path.c_str(), grey.transfer_syntax).good();
}

}  // namespace cloister::testing
