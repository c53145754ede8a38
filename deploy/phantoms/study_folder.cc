// SPDX-License-Identifier: Apache-2.0
// Stable identities and the folder they go into.

#include "deploy/phantoms/study_folder.h"

#include <absl/time/civil_time.h>
#include <absl/time/time.h>
#include <fmt/format.h>

#include "deploy/phantoms/text_table.h"
#include "protocols/base/file.h"
#include "protocols/base/ids.h"
#include "protocols/crypto/hash.h"
#include "site_agent/serve/result_uid.h"

namespace cloister::phantoms {
namespace {

std::string Upper(std::string text) {
  for (char& c : text) {
    c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return text;
}

std::string Format(absl::CivilDay day) {
  return fmt::format("{:04}{:02}{:02}", day.year(), day.month(), day.day());
}

}  // namespace

absl::StatusOr<StudyFolder> StudyFolder::Create(const std::filesystem::path& out, const std::string& site) {
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(site, "site"));
  if (site.size() > 16) {
    return absl::InvalidArgumentError(fmt::format("site '{}' is longer than 16 characters", site));
  }
  StudyFolder folder;
  folder.out_ = out;
  folder.site_ = site;
  folder.labels_ = TextLine({"accession_number", "label", "finding"});
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(out / "dicom"));
  return folder;
}

void StudyFolder::Identify(const std::string& identity, site::FilmStudy* study) const {
  const Digest digest = crypto::Sha256("cloister study " + site_ + "\n" + identity);
  study->accession_number = Upper(site_.substr(0, 4) + digest.hex().substr(0, 12));  // at most 16 characters
  study->study_instance_uid = site::UidFromDigest(digest);
  study->series_instance_uid = site::UidFromDigest(crypto::Sha256("series " + digest.hex()));
  study->sop_instance_uid = site::UidFromDigest(crypto::Sha256("instance " + digest.hex()));
}

std::string StudyFolder::PatientId(const std::string& identity) const {
  return Upper(site_) + "-" + Upper(crypto::Sha256("cloister patient " + site_ + "\n" + identity).hex().substr(0, 8));
}

absl::Status StudyFolder::Write(const site::FilmPatient& patient, const site::FilmStudy& study,
                                const site::FilmPixels& pixels) {
  const std::filesystem::path folder = out_ / "dicom" / patient.id;
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  CLOISTER_RETURN_IF_ERROR(site::WriteFilm(patient, study, pixels, folder / (study.accession_number + ".dcm")));
  ++studies_;
  return absl::OkStatus();
}

void StudyFolder::AddLabel(const std::string& accession_number, const std::string& label, const std::string& finding) {
  labels_ += TextLine({accession_number, label, finding});
}

absl::Status StudyFolder::Finish() const {
  return WriteFileAtomically(out_ / "labels.csv", labels_);
}

uint64_t NumberFrom(const std::string& text, uint64_t limit) {
  const Digest digest = crypto::Sha256("cloister number " + text);
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) {
    number = number << 8 | static_cast<unsigned char>(digest.view()[i]);
  }
  return number % limit;
}

StudyMoment MomentFrom(const std::string& text) {
  const absl::CivilDay day = absl::CivilDay(2024, 1, 1) + static_cast<int>(NumberFrom("day " + text, 731));
  const uint64_t second = 7 * 3600 + NumberFrom("second " + text, 11 * 3600);
  return {Format(day), fmt::format("{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)};
}

std::string BirthDate(const std::string& date, int months, const std::string& text) {
  const absl::CivilDay day(std::stoi(date.substr(0, 4)), std::stoi(date.substr(4, 2)), 1);
  const absl::CivilMonth born = absl::CivilMonth(day) - months;
  return Format(absl::CivilDay(born) + static_cast<int>(NumberFrom("birth " + text, 28)));
}

}  // namespace cloister::phantoms
