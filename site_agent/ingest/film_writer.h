#pragma once
// SPDX-License-Identifier: Apache-2.0
// Writes a film as a proper DX, CR or (colour) Secondary Capture object, for phantoms and for importing public images
// into a test PACS. Not part of the agent: a hospital's films come from its modalities.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::site {

struct FilmPatient {
  std::string id;
  std::string name;        // UTF-8, "Family^Given" or "Wang^Wei=王^伟"
  std::string birth_date;  // YYYYMMDD or ""
  std::string sex;         // M, F, O or ""
  std::string age;         // "054Y" or ""
};

struct FilmStudy {
  std::string specific_character_set = "ISO_IR 192";
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string sop_instance_uid;
  std::string accession_number;
  std::string date;  // YYYYMMDD
  std::string time;  // HHMMSS
  std::string description;
  std::string modality = "DX";  // DX and CR: grey; anything else: Secondary Capture
  std::string body_part = "CHEST";
  std::string view_position = "PA";  // PA, AP or ""
  std::string manufacturer;
  std::string model;
  std::string institution;
  double spacing_mm = 1;
};

struct FilmPixels {
  int rows = 0;
  int columns = 0;
  int bits_stored = 12;        // 8 to 16
  bool monochrome1 = false;    // then `grey` holds large values for dark
  std::vector<uint16_t> grey;  // [rows, columns], or empty
  std::vector<uint8_t> rgb;    // [rows, columns, 3], or empty
  double window_center = 0;    // width 0: no window
  double window_width = 0;
};

// INVALID_ARGUMENT: sizes that do not fit, a name the character set cannot hold, colour as DX or CR; else the statuses
// of writing a file.
absl::Status WriteFilm(const FilmPatient& patient, const FilmStudy& study, const FilmPixels& pixels,
                       const std::filesystem::path& path);

}  // namespace cloister::site
