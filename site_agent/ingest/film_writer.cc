// SPDX-License-Identifier: Apache-2.0
// The attributes of types 1 and 2 of three IODs (PS3.3 A.2, A.8.1, A.26).

#include "site_agent/ingest/film_writer.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcspchrs.h>
#include <dcmtk/dcmdata/dctk.h>
#include <fmt/format.h>

#include <algorithm>

#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/dicom_setup.h"

namespace cloister::site {
namespace {

void Put(DcmItem* item, const DcmTagKey& tag, const std::string& value) {
  item->putAndInsertOFStringArray(tag, OFString(value.c_str(), value.size()));
}

void PutCode(DcmItem* item, const DcmTagKey& sequence, const char* value, const char* scheme, const char* meaning) {
  DcmItem* entry = nullptr;
  if (item->findOrCreateSequenceItem(sequence, entry, 0).good()) {
    Put(entry, DCM_CodeValue, value);
    Put(entry, DCM_CodingSchemeDesignator, scheme);
    Put(entry, DCM_CodeMeaning, meaning);
  }
}

absl::StatusOr<std::string> Convert(const std::string& utf8, const std::string& charset) {
  DcmSpecificCharacterSet converter;
  OFString converted;
  if (converter.selectCharacterSet("ISO_IR 192", charset.c_str()).bad() ||
      converter.convertString(utf8.c_str(), utf8.size(), converted, "\\^=").bad()) {
    return absl::InvalidArgumentError("a text does not fit into the character set " + charset);
  }
  return std::string(converted.c_str(), converted.size());
}

absl::Status Check(const FilmStudy& study, const FilmPixels& pixels) {
  const uint64_t count = uint64_t{1} * pixels.rows * pixels.columns;
  const bool grey = pixels.grey.size() == count && pixels.rgb.empty();
  const bool colour = pixels.rgb.size() == count * 3 && pixels.grey.empty();
  if (pixels.rows < 1 || pixels.columns < 1 || pixels.rows > 65535 || pixels.columns > 65535 || !(grey || colour)) {
    return absl::InvalidArgumentError(fmt::format("the pixels are not {} x {}", pixels.rows, pixels.columns));
  }
  if (pixels.bits_stored < 8 || pixels.bits_stored > 16) {
    return absl::InvalidArgumentError(fmt::format("{} bits stored; 8 to 16 are possible", pixels.bits_stored));
  }
  if (colour && (study.modality == "DX" || study.modality == "CR")) {
    return absl::InvalidArgumentError("a colour image cannot be " + study.modality);
  }
  for (const std::string* uid : {&study.study_instance_uid, &study.series_instance_uid, &study.sop_instance_uid}) {
    if (!IsValidUid(*uid)) {
      return absl::InvalidArgumentError("not a valid UID: " + *uid);
    }
  }
  return absl::OkStatus();
}

absl::Status PutPatientAndStudy(const FilmPatient& patient, const FilmStudy& study, DcmDataset* data) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string name, Convert(patient.name, study.specific_character_set));
  CLOISTER_ASSIGN_OR_RETURN(const std::string institution, Convert(study.institution, study.specific_character_set));
  CLOISTER_ASSIGN_OR_RETURN(const std::string description, Convert(study.description, study.specific_character_set));
  Put(data, DCM_SpecificCharacterSet, study.specific_character_set);
  Put(data, DCM_PatientName, name);
  Put(data, DCM_PatientID, patient.id);
  Put(data, DCM_PatientBirthDate, patient.birth_date);
  Put(data, DCM_PatientSex, patient.sex);
  if (!patient.age.empty()) {
    Put(data, DCM_PatientAge, patient.age);
  }
  Put(data, DCM_StudyInstanceUID, study.study_instance_uid);
  Put(data, DCM_StudyDate, study.date);
  Put(data, DCM_StudyTime, study.time);
  Put(data, DCM_StudyID, "1");
  Put(data, DCM_StudyDescription, description);
  Put(data, DCM_AccessionNumber, study.accession_number);
  Put(data, DCM_ReferringPhysicianName, "");
  Put(data, DCM_InstitutionName, institution);
  return absl::OkStatus();
}

void PutSeries(const FilmStudy& study, const std::string& sop_class, DcmDataset* data) {
  Put(data, DCM_SOPClassUID, sop_class);
  Put(data, DCM_SOPInstanceUID, study.sop_instance_uid);
  Put(data, DCM_SeriesInstanceUID, study.series_instance_uid);
  Put(data, DCM_Modality, study.modality);
  Put(data, DCM_SeriesNumber, "1");
  Put(data, DCM_InstanceNumber, "1");
  Put(data, DCM_SeriesDate, study.date);
  Put(data, DCM_SeriesTime, study.time);
  Put(data, DCM_AcquisitionDate, study.date);
  Put(data, DCM_AcquisitionTime, study.time);
  Put(data, DCM_ContentDate, study.date);
  Put(data, DCM_ContentTime, study.time);
  Put(data, DCM_Manufacturer, study.manufacturer);
  Put(data, DCM_ManufacturerModelName, study.model);
  Put(data, DCM_SoftwareVersions, "1.0");
  Put(data, DCM_DeviceSerialNumber, "1");
  Put(data, DCM_BodyPartExamined, study.body_part);
  if (study.body_part != "CHEST" && study.modality != "DX") {
    Put(data, DCM_Laterality, "");  // paired parts need it; which side an import does not know. DX has ImageLaterality
  }
  Put(data, DCM_BurnedInAnnotation, "NO");
  Put(data, DCM_LossyImageCompression, "00");
}

void PutProjection(const FilmStudy& study, const FilmPixels& pixels, DcmDataset* data) {
  const std::string spacing = fmt::format("{0:.4f}\\{0:.4f}", study.spacing_mm);
  Put(data, DCM_ViewPosition, study.view_position);
  Put(data, DCM_PatientOrientation, "L\\F");
  Put(data, DCM_ImagerPixelSpacing, spacing);
  if (pixels.window_width > 0) {
    Put(data, DCM_WindowCenter, fmt::format("{}", pixels.window_center));
    Put(data, DCM_WindowWidth, fmt::format("{}", pixels.window_width));
  }
  if (study.modality != "DX") {
    Put(data, DCM_ImageType, "ORIGINAL\\PRIMARY");
    return;
  }
  Put(data, DCM_ImageType, "ORIGINAL\\PRIMARY\\");
  Put(data, DCM_PresentationIntentType, "FOR PRESENTATION");
  Put(data, DCM_ImageLaterality, "U");
  Put(data, DCM_PixelIntensityRelationship, "LOG");
  data->putAndInsertSint16(DCM_PixelIntensityRelationshipSign, pixels.monochrome1 ? 1 : -1);
  Put(data, DCM_RescaleIntercept, "0");
  Put(data, DCM_RescaleSlope, "1");
  Put(data, DCM_RescaleType, "US");
  Put(data, DCM_PresentationLUTShape, pixels.monochrome1 ? "INVERSE" : "IDENTITY");
  Put(data, DCM_DetectorType, "DIRECT");
  Put(data, DCM_PositionerType, "");
  data->insertEmptyElement(DCM_AcquisitionContextSequence, OFTrue);
  if (study.body_part == "HAND") {
    PutCode(data, DCM_AnatomicRegionSequence, "85562004", "SCT", "Hand");
  } else {
    PutCode(data, DCM_AnatomicRegionSequence, "51185008", "SCT", "Chest");
  }
}

void PutPixels(const FilmPixels& pixels, DcmDataset* data) {
  const bool colour = !pixels.rgb.empty();
  const int bits_stored = colour ? 8 : pixels.bits_stored;
  data->putAndInsertUint16(DCM_SamplesPerPixel, colour ? 3 : 1);
  Put(data, DCM_PhotometricInterpretation, colour ? "RGB" : pixels.monochrome1 ? "MONOCHROME1" : "MONOCHROME2");
  if (colour) {
    data->putAndInsertUint16(DCM_PlanarConfiguration, 0);
  }
  data->putAndInsertUint16(DCM_Rows, static_cast<Uint16>(pixels.rows));
  data->putAndInsertUint16(DCM_Columns, static_cast<Uint16>(pixels.columns));
  data->putAndInsertUint16(DCM_BitsAllocated, bits_stored > 8 ? 16 : 8);
  data->putAndInsertUint16(DCM_BitsStored, static_cast<Uint16>(bits_stored));
  data->putAndInsertUint16(DCM_HighBit, static_cast<Uint16>(bits_stored - 1));
  data->putAndInsertUint16(DCM_PixelRepresentation, 0);
  if (!colour && bits_stored > 8) {
    data->putAndInsertUint16Array(DCM_PixelData, pixels.grey.data(), static_cast<unsigned long>(pixels.grey.size()));
    return;
  }
  std::vector<Uint8> bytes = pixels.rgb;
  for (const uint16_t value : pixels.grey) {
    bytes.push_back(static_cast<Uint8>(value));
  }
  bytes.resize(bytes.size() + bytes.size() % 2);
  data->putAndInsertUint8Array(DCM_PixelData, bytes.data(), static_cast<unsigned long>(bytes.size()));
}

}  // namespace

absl::Status WriteFilm(const FilmPatient& patient, const FilmStudy& study, const FilmPixels& pixels,
                       const std::filesystem::path& path) {
  PrepareDicom();
  CLOISTER_RETURN_IF_ERROR(Check(study, pixels));
  DcmFileFormat file;
  DcmDataset* data = file.getDataset();
  CLOISTER_RETURN_IF_ERROR(PutPatientAndStudy(patient, study, data));
  if (study.modality == "DX" || study.modality == "CR") {
    PutSeries(study,
              study.modality == "DX" ? UID_DigitalXRayImageStorageForPresentation : UID_ComputedRadiographyImageStorage,
              data);
    PutProjection(study, pixels, data);
  } else {
    PutSeries(study, UID_SecondaryCaptureImageStorage, data);
    Put(data, DCM_ImageType, "ORIGINAL\\PRIMARY");
    Put(data, DCM_ConversionType, "DI");
    Put(data, DCM_PatientOrientation, "");
  }
  PutPixels(pixels, data);
  const OFCondition saved = file.saveFile(path.c_str(), EXS_LittleEndianExplicit);
  if (saved.bad()) {
    return absl::UnavailableError(fmt::format("cannot write {}: {}", path.string(), saved.text()));
  }
  return absl::OkStatus();
}

}  // namespace cloister::site
