#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the agent needs to know about one DICOM file without touching its pixels. Text is as the file has it, in the
// file's own character set, with padding removed; ToUtf8 turns it into something to show. Holds patient data: never log
// it.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::site {

struct InstanceHeader {
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string sop_instance_uid;
  std::string sop_class_uid;
  std::string transfer_syntax_uid;
  std::string specific_character_set;  // "" is the default repertoire (ASCII); several terms are joined by backslashes
  std::string accession_number;
  std::string patient_id;
  std::string patient_name;  // raw bytes
  std::string patient_birth_date;
  std::string patient_sex;
  std::string patient_age;  // as "034Y", or ""
  std::string modality;
  std::string study_date;  // YYYYMMDD, or ""
  std::string study_time;
  std::string manufacturer;
  std::string manufacturer_model_name;
  std::string body_part_examined;
  std::string view_position;
  std::string presentation_intent_type;  // "FOR PRESENTATION", "FOR PROCESSING" or ""
  std::string photometric_interpretation;
  std::vector<std::string> image_type;
  int32_t series_number = 0;    // 0: absent
  int32_t instance_number = 0;  // 0: absent
  int rows = 0;                 // 0: not an image
  int columns = 0;
  int number_of_frames = 1;
  int bits_stored = 0;
};

// Reads the header of a DICOM file; stops before the pixels, so a truncated image still has a header.
// NOT_FOUND, PERMISSION_DENIED: the file. INVALID_ARGUMENT: not DICOM, malformed, nested too deeply, or without
// study, series, SOP instance or SOP class UID (or with one that is no valid UID). RESOURCE_EXHAUSTED: header above 256
// MiB.
absl::StatusOr<InstanceHeader> ReadHeader(const std::filesystem::path& path);

// `text` (of a file with that SpecificCharacterSet) as UTF-8. What cannot be converted becomes "?".
std::string ToUtf8(const std::string& text, const std::string& specific_character_set);

// True for 1 to 64 characters of digits and dots as PS3.5 9.1 has it; leading zeros in a component are tolerated.
bool IsValidUid(const std::string& uid);

}  // namespace cloister::site
