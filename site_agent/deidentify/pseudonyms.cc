// SPDX-License-Identifier: Apache-2.0
#include "site_agent/deidentify/pseudonyms.h"

#include <absl/time/civil_time.h>
#include <fmt/format.h>

#include "protocols/crypto/hkdf.h"
#include "site_agent/cohort/split.h"
#include "site_agent/serve/result_uid.h"

namespace cloister::site {

std::string Pseudonyms::Uid(const std::string& uid) const {
  CanonicalWriter info;
  info.Blob("dicom uid").Blob(uid);
  const crypto::SecretBytes hash = crypto::Hkdf("cloister/site", *site_secret_, info.bytes(), Digest::kSize);
  return UidFromDigest(*Digest::FromBytes(hash.view()));
}

std::string Pseudonyms::Patient(const std::string& patient_id) const {
  return "p" + HexEncode(KeyedHash(*site_secret_, "patient", 0, patient_id)).substr(0, 16);
}

int Pseudonyms::DaysBack(const std::string& patient_id) const {
  constexpr uint32_t kLeast = 365;
  constexpr uint32_t kMost = 3652;
  const Bytes hash = KeyedHash(*site_secret_, "days back", 0, patient_id);
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) {
    value = value << 8 | static_cast<unsigned char>(hash[static_cast<size_t>(i)]);
  }
  return static_cast<int>(kLeast + value % (kMost - kLeast + 1));
}

std::string DateBefore(const std::string& date, int days) {
  if (date.size() != 8 || date.find_first_not_of("0123456789") != std::string::npos) {
    return "";
  }
  const int year = std::stoi(date.substr(0, 4));
  const int month = std::stoi(date.substr(4, 2));
  const int day = std::stoi(date.substr(6, 2));
  const absl::CivilDay then(year, month, day);
  if (year < 1582 || then.month() != month || then.day() != day) {  // CivilDay makes 30 February the 2 March
    return "";
  }
  const absl::CivilDay before = then - days;
  return fmt::format("{:04}{:02}{:02}", before.year(), before.month(), before.day());
}

std::string DateTimeBefore(const std::string& date_time, int days) {
  const bool plain = date_time.size() >= 8 && date_time.size() <= 26 &&
                     date_time.find_first_not_of("0123456789.+-", 8) == std::string::npos;
  const std::string date = plain ? DateBefore(date_time.substr(0, 8), days) : "";
  return date.empty() ? "" : date + date_time.substr(8);
}

}  // namespace cloister::site
