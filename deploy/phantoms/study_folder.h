#pragma once
// SPDX-License-Identifier: Apache-2.0
// What both programs write: <out>/dicom/<PatientID>/<AccessionNumber>.dcm, <out>/labels.csv, and UIDs, dates and
// numbers derived from an identity, so that a second run gives the same studies.

#include <filesystem>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "site_agent/ingest/film_writer.h"

namespace cloister::phantoms {

class StudyFolder {
 public:
  // INVALID_ARGUMENT: `site` is not 1 to 16 of [a-z0-9_-]. Otherwise the statuses of making folders.
  static absl::StatusOr<StudyFolder> Create(const std::filesystem::path& out, const std::string& site);

  // Fills accession number and UIDs of `study` from `identity` (unique within the site).
  void Identify(const std::string& identity, site::FilmStudy* study) const;
  std::string PatientId(const std::string& identity) const;

  absl::Status Write(const site::FilmPatient& patient, const site::FilmStudy& study, const site::FilmPixels& pixels);
  void AddLabel(const std::string& accession_number, const std::string& label, const std::string& finding);

  // Writes labels.csv: accession_number,label,finding in the order they came.
  absl::Status Finish() const;
  int studies() const { return studies_; }

 private:
  std::filesystem::path out_;
  std::string site_;
  std::string labels_;
  int studies_ = 0;
};

// A number in [0, limit) that depends only on the text.
uint64_t NumberFrom(const std::string& text, uint64_t limit);

struct StudyMoment {
  std::string date;  // YYYYMMDD of 2024 or 2025, in working hours
  std::string time;  // HHMMSS
};
StudyMoment MomentFrom(const std::string& text);

// The date of birth of somebody of `months` months on `date`, the day taken from `text`.
std::string BirthDate(const std::string& date, int months, const std::string& text);

}  // namespace cloister::phantoms
