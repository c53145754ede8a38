#pragma once
// SPDX-License-Identifier: Apache-2.0
// What replaces identities inside the hospital: a keyed hash, so that the same input always has the same replacement at
// this site, and only who has the site's key can go back to the case. Nothing is stored.

#include <string>

#include "protocols/crypto/secret.h"

namespace cloister::site {

class Pseudonyms {
 public:
  // `site_secret` must outlive this.
  explicit Pseudonyms(const crypto::SecretBytes* site_secret) : site_secret_(site_secret) {}

  // 2.25.<128 bits of HMAC-SHA-256>, at most 44 characters.
  std::string Uid(const std::string& uid) const;
  // "p" and 16 hex digits: as in the cohort's manifest.
  std::string Patient(const std::string& patient_id) const;
  // By how many days all dates of a patient move into the past: 365 to 3652.
  int DaysBack(const std::string& patient_id) const;

 private:
  const crypto::SecretBytes* site_secret_;
};

// `date` (YYYYMMDD) that many days earlier; "" for what is no date between 1582 and 9999.
std::string DateBefore(const std::string& date, int days);
// The date of a date-time (YYYYMMDDHHMMSS.FFFFFF&ZZXX, cut anywhere after the day) moved, the rest as it was; "" for
// anything else.
std::string DateTimeBefore(const std::string& date_time, int days);

}  // namespace cloister::site
