// SPDX-License-Identifier: Apache-2.0
// Reading a DICOM header with DCMTK, up to the pixels.

#include "site_agent/ingest/dicom_header.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcspchrs.h>
#include <dcmtk/dcmdata/dctk.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "protocols/base/file.h"
#include "site_agent/ingest/dicom_setup.h"
#include "site_agent/ingest/japanese_text.h"
#include "site_agent/ingest/open_dataset.h"

namespace cloister::site {
namespace {

std::string Text(DcmItem& item, const DcmTagKey& tag) {
  OFString value;
  if (item.findAndGetOFStringArray(tag, value).bad()) {
    return "";
  }
  const size_t first = value.find_first_not_of(" ");
  if (first == OFString_npos) {
    return "";
  }
  const size_t last = value.find_last_not_of(std::string(" \0", 2).c_str());
  std::string text(value.c_str() + first, last + 1 - first);
  return text.substr(0, text.find('\0'));
}

int Number(DcmItem& item, const DcmTagKey& tag, int absent) {
  Uint16 value = 0;
  return item.findAndGetUint16(tag, value).good() ? value : absent;
}

int32_t IntegerString(DcmItem& item, const DcmTagKey& tag, int32_t absent) {
  Sint32 value = 0;
  return item.findAndGetSint32(tag, value).good() ? value : absent;
}

std::vector<std::string> Values(const std::string& text) {
  std::vector<std::string> values;
  size_t start = 0;
  while (!text.empty() && start <= text.size()) {
    const size_t end = std::min(text.find('\\', start), text.size());
    values.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return values;
}

absl::Status CheckUid(const std::string& uid, const char* keyword) {
  if (uid.empty()) {
    return absl::InvalidArgumentError(std::string(keyword) + " is missing");
  }
  if (!IsValidUid(uid)) {
    return absl::InvalidArgumentError(std::string(keyword) + " is not a valid UID");
  }
  return absl::OkStatus();
}

absl::Status HeaderStatus(const std::filesystem::path& path, const Rejection& rejection) {
  if (access(path.c_str(), R_OK) != 0) {
    return ErrnoStatus(errno, "read", path);
  }
  const std::string message =
      fmt::format("cannot read the DICOM header of {}: {}", path.filename().string(), rejection.message);
  return rejection.reason == RejectReason::kTooLarge ? absl::ResourceExhaustedError(message)
                                                     : absl::InvalidArgumentError(message);
}

}  // namespace

absl::StatusOr<InstanceHeader> ReadHeader(const std::filesystem::path& path) try {
  std::variant<OpenedDataset, Rejection> outcome = OpenDataset(path, ReadUpTo::kPixelData);
  if (const Rejection* rejection = std::get_if<Rejection>(&outcome)) {
    return HeaderStatus(path, *rejection);
  }
  const OpenedDataset& opened = std::get<OpenedDataset>(outcome);
  DcmDataset& data = *opened.data;
  InstanceHeader header;
  header.study_instance_uid = Text(data, DCM_StudyInstanceUID);
  header.series_instance_uid = Text(data, DCM_SeriesInstanceUID);
  header.sop_instance_uid = Text(data, DCM_SOPInstanceUID);
  header.sop_class_uid = Text(data, DCM_SOPClassUID);
  header.transfer_syntax_uid = opened.transfer_syntax_uid;
  header.specific_character_set = Text(data, DCM_SpecificCharacterSet);
  header.accession_number = Text(data, DCM_AccessionNumber);
  header.patient_id = Text(data, DCM_PatientID);
  header.patient_name = Text(data, DCM_PatientName);
  header.patient_birth_date = Text(data, DCM_PatientBirthDate);
  header.patient_sex = Text(data, DCM_PatientSex);
  header.patient_age = Text(data, DCM_PatientAge);
  header.modality = Text(data, DCM_Modality);
  header.study_date = Text(data, DCM_StudyDate);
  header.study_time = Text(data, DCM_StudyTime);
  header.manufacturer = Text(data, DCM_Manufacturer);
  header.manufacturer_model_name = Text(data, DCM_ManufacturerModelName);
  header.body_part_examined = Text(data, DCM_BodyPartExamined);
  header.view_position = Text(data, DCM_ViewPosition);
  header.presentation_intent_type = Text(data, DCM_PresentationIntentType);
  header.photometric_interpretation = Text(data, DCM_PhotometricInterpretation);
  header.image_type = Values(Text(data, DCM_ImageType));
  header.series_number = IntegerString(data, DCM_SeriesNumber, 0);
  header.instance_number = IntegerString(data, DCM_InstanceNumber, 0);
  header.rows = Number(data, DCM_Rows, 0);
  header.columns = Number(data, DCM_Columns, 0);
  header.number_of_frames = IntegerString(data, DCM_NumberOfFrames, 1);
  header.bits_stored = Number(data, DCM_BitsStored, 0);

  CLOISTER_RETURN_IF_ERROR(CheckUid(header.study_instance_uid, "StudyInstanceUID"));
  CLOISTER_RETURN_IF_ERROR(CheckUid(header.series_instance_uid, "SeriesInstanceUID"));
  CLOISTER_RETURN_IF_ERROR(CheckUid(header.sop_instance_uid, "SOPInstanceUID"));
  CLOISTER_RETURN_IF_ERROR(CheckUid(header.sop_class_uid, "SOPClassUID"));
  return header;
} catch (const std::exception& error) {
  return HeaderStatus(path, FromException(error));
}

std::string ToUtf8(const std::string& text, const std::string& specific_character_set) {
  PrepareDicom();
  if (IsJapanese(specific_character_set)) {
    if (const std::optional<std::string> utf8 = JapaneseToUtf8(text, specific_character_set)) {
      return *utf8;
    }
  }
  DcmSpecificCharacterSet converter;
  OFString utf8;
  const auto select = [&](const std::string& charset) {
    return converter.selectCharacterSet(charset.c_str(), "ISO_IR 192").good();
  };
  if (select(specific_character_set) && converter.convertString(text.c_str(), text.size(), utf8, "\\^=").good()) {
    return std::string(utf8.c_str(), utf8.size());
  }
  std::string ascii = text;  // not convertible: keep what every character set shares
  for (char& c : ascii) {
    c = static_cast<unsigned char>(c) < 0x80 && c != 0x1b ? c : '?';
  }
  return ascii;
}

bool IsValidUid(const std::string& uid) {
  if (uid.empty() || uid.size() > 64 || uid.front() == '.' || uid.back() == '.') {
    return false;
  }
  for (size_t i = 0; i < uid.size(); ++i) {
    const bool digit = uid[i] >= '0' && uid[i] <= '9';
    if (!digit && (uid[i] != '.' || uid[i - 1] == '.')) {
      return false;
    }
  }
  return true;
}

}  // namespace cloister::site
