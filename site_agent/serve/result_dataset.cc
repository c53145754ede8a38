// SPDX-License-Identifier: Apache-2.0
// The modules that are the same in every result.

#include "site_agent/serve/result_dataset.h"

#include <dcmtk/dcmdata/dcspchrs.h>
#include <fmt/format.h>

#include <algorithm>

#include "protocols/base/file.h"
#include "site_agent/ingest/dicom_setup.h"

namespace cloister::site {
namespace {

constexpr char kManufacturer[] = "Cloister";

// Type 2 attributes of the Patient and General Study modules: present in every result, if need be empty.
const DcmTagKey kRequired[] = {DCM_PatientName,    DCM_PatientID, DCM_PatientBirthDate,       DCM_PatientSex,
                               DCM_StudyDate,      DCM_StudyTime, DCM_ReferringPhysicianName, DCM_StudyID,
                               DCM_AccessionNumber};
const DcmTagKey kOptional[] = {DCM_IssuerOfPatientID,
                               DCM_IssuerOfPatientIDQualifiersSequence,
                               DCM_OtherPatientIDsSequence,
                               DCM_PatientBirthTime,
                               DCM_PatientSpeciesDescription,
                               DCM_PatientAge,
                               DCM_PatientSize,
                               DCM_PatientWeight,
                               DCM_StudyDescription,
                               DCM_ProcedureCodeSequence,
                               DCM_IssuerOfAccessionNumberSequence};

void Put(DcmItem* item, const DcmTagKey& tag, const std::string& value) {
  item->putAndInsertOFStringArray(tag, OFString(value.c_str(), value.size()));
}

void PutCode(DcmItem* item, const DcmTagKey& sequence, const CodedConcept& code) {
  DcmItem* entry = nullptr;
  if (item->findOrCreateSequenceItem(sequence, entry, 0).good()) {
    Put(entry, DCM_CodeValue, code.code_value);
    Put(entry, DCM_CodingSchemeDesignator, code.coding_scheme_designator);
    Put(entry, DCM_CodeMeaning, code.code_meaning);
  }
}

}  // namespace

DicomTime ToDicomTime(absl::Time time) {
  const absl::TimeZone zone = absl::LocalTimeZone();
  return {absl::FormatTime("%Y%m%d", time, zone), absl::FormatTime("%H%M%S", time, zone),
          absl::FormatTime("%z", time, zone)};
}

absl::StatusOr<Source> LoadSource(const std::filesystem::path& path) {
  Source source;
  absl::StatusOr<InstanceHeader> header = ReadHeader(path);
  if (!header.ok()) {
    return absl::InvalidArgumentError("the analysed image cannot be read: " + std::string(header.status().message()));
  }
  source.header = *std::move(header);
  source.file = std::make_unique<DcmFileFormat>();
  CLOISTER_RETURN_IF_ERROR(FileStatus(source.file->loadFileUntilTag(path.c_str(), EXS_Unknown, EGL_noChange,
                                                                    DCM_MaxReadLength, ERM_autoDetect, DCM_PixelData),
                                      "the analysed image cannot be read"));
  return source;
}

absl::Status CheckRelease(const ReleaseIdentity& release) {
  for (const std::string* text : {&release.algorithm_name, &release.algorithm_version, &release.software_version}) {
    const bool printable =
        std::all_of(text->begin(), text->end(), [](char c) { return c >= ' ' && c <= '~' && c != '\\'; });
    if (text->empty() || text->size() > 64 || !printable) {
      return absl::InvalidArgumentError(fmt::format(
          "algorithm name, version and software version must be 1 to 64 ASCII characters, not '{}'", *text));
    }
  }
  if (!IsValidUid(release.device_uid)) {
    return absl::InvalidArgumentError("the Device UID is not a valid UID");
  }
  return absl::OkStatus();
}

void CopyPatientAndStudy(const Source& source, DcmDataset* result) {
  DcmDataset& from = source.data();
  for (const DcmTagKey& tag : kRequired) {
    if (from.findAndInsertCopyOfElement(tag, result).bad()) {
      result->insertEmptyElement(tag, OFTrue);
    }
  }
  for (const DcmTagKey& tag : kOptional) {
    DcmElement* element = nullptr;
    if (from.findAndGetElement(tag, element).good() && !element->isEmpty()) {
      from.findAndInsertCopyOfElement(tag, result);
    }
  }
  result->findAndDeleteElement(DCM_SpecificCharacterSet);
  if (!source.header.specific_character_set.empty()) {
    Put(result, DCM_SpecificCharacterSet, source.header.specific_character_set);
  }
  Put(result, DCM_StudyInstanceUID, source.header.study_instance_uid);
}

void PutSeriesAndEquipment(const Source& source, const ReleaseIdentity& release, ResultKind kind, absl::Time created,
                           DcmDataset* result) {
  const bool report = kind == ResultKind::kStructuredReport;
  const DicomTime time = ToDicomTime(created);
  Put(result, DCM_SeriesInstanceUID,
      ResultSeriesInstanceUid(release.device_uid, source.header.study_instance_uid, kind));
  Put(result, DCM_SOPInstanceUID, ResultSopInstanceUid(release.device_uid, source.header.sop_instance_uid, kind));
  Put(result, DCM_SeriesNumber, report ? "9001" : "9002");
  Put(result, DCM_InstanceNumber, std::to_string(std::max(1, source.header.instance_number)));
  Put(result, DCM_SeriesDescription, "AI " + release.algorithm_name + (report ? " report" : " page"));
  Put(result, DCM_SeriesDate, time.date);
  Put(result, DCM_SeriesTime, time.time);
  Put(result, DCM_ContentDate, time.date);
  Put(result, DCM_ContentTime, time.time);
  Put(result, DCM_InstanceCreationDate, time.date);
  Put(result, DCM_InstanceCreationTime, time.time);
  Put(result, DCM_TimezoneOffsetFromUTC, time.zone);
  Put(result, DCM_Manufacturer, kManufacturer);
  Put(result, DCM_ManufacturerModelName, release.algorithm_name);
  Put(result, DCM_DeviceSerialNumber, release.device_uid);
  Put(result, DCM_DeviceUID, release.device_uid);
  Put(result, DCM_SoftwareVersions, release.algorithm_version + "\\" + release.software_version);

  DcmItem* equipment = nullptr;
  result->findAndDeleteElement(DCM_ContributingEquipmentSequence);
  if (result->findOrCreateSequenceItem(DCM_ContributingEquipmentSequence, equipment, 0).good()) {
    PutCode(equipment, DCM_PurposeOfReferenceCodeSequence, {"109102", "DCM", "Processing Equipment"});
    Put(equipment, DCM_Manufacturer, kManufacturer);
    Put(equipment, DCM_ManufacturerModelName, release.algorithm_name);
    Put(equipment, DCM_SoftwareVersions, release.algorithm_version + "\\" + release.software_version);
    Put(equipment, DCM_DeviceUID, release.device_uid);
    Put(equipment, DCM_ContributionDateTime, time.date + time.time + time.zone);
  }
}

std::string ToSourceCharset(const Source& source, const std::string& text) {
  const std::string& charset = source.header.specific_character_set;
  DcmSpecificCharacterSet converter;
  OFString converted;
  if (!charset.empty() && converter.selectCharacterSet("ISO_IR 192", charset.c_str()).good() &&
      converter.convertString(text.c_str(), text.size(), converted, "").good()) {
    return std::string(converted.c_str(), converted.size());
  }
  std::string ascii;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) != 0x80) {  // once per character
      ascii += byte < 0x80 ? c : '?';
    }
  }
  return ascii;
}

absl::StatusOr<WrittenInstance> WriteResult(DcmFileFormat* file, const std::filesystem::path& folder) {
  WrittenInstance written;
  OFString uid;
  file->getDataset()->findAndGetOFString(DCM_SOPInstanceUID, uid);
  written.sop_instance_uid = uid.c_str();
  file->getDataset()->findAndGetOFString(DCM_SeriesInstanceUID, uid);
  written.series_instance_uid = uid.c_str();
  written.path = folder / (written.sop_instance_uid + ".dcm");
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  const std::filesystem::path partial = folder / ("." + written.sop_instance_uid + ".part");
  const OFCondition saved = file->saveFile(partial.c_str(), EXS_LittleEndianExplicit);
  std::error_code error;
  if (saved.good()) {
    std::filesystem::rename(partial, written.path, error);
  }
  if (saved.bad() || error) {
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
    return absl::ResourceExhaustedError(fmt::format("cannot write {}: {}; is the disk full?", written.path.string(),
                                                    saved.bad() ? saved.text() : error.message()));
  }
  return written;
}

}  // namespace cloister::site
