// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/split.h"

#include <algorithm>
#include <cmath>

#include "protocols/crypto/hkdf.h"

namespace cloister::site {
namespace {

size_t ShareOf(size_t patients, double share, size_t at_least_one_from) {
  if (share <= 0) {
    return 0;
  }
  const size_t rounded = static_cast<size_t>(std::llround(static_cast<double>(patients) * share));
  return patients >= at_least_one_from ? std::max<size_t>(1, rounded) : 0;
}

}  // namespace

std::string_view CohortSplitName(CohortSplit split) {
  switch (split) {
    case CohortSplit::kTrain:
      return "train";
    case CohortSplit::kTuning:
      return "tuning";
    case CohortSplit::kTest:
      return "test";
  }
  return "train";
}

Bytes KeyedHash(const crypto::SecretBytes& site_secret, std::string_view purpose, uint64_t seed, ByteView value) {
  CanonicalWriter info;
  info.Blob(purpose).U64(seed).Blob(value);
  return Bytes(crypto::Hkdf("cloister/site", site_secret, info.bytes(), 16).view());
}

std::map<std::string, CohortSplit> SplitPatients(const std::vector<PatientClass>& patients, const SplitRule& rule,
                                                 const crypto::SecretBytes& site_secret) {
  std::vector<std::pair<Bytes, std::string>> strata[2];
  for (const PatientClass& patient : patients) {
    strata[patient.positive ? 1 : 0].emplace_back(KeyedHash(site_secret, "split", rule.split_seed, patient.patient_id),
                                                  patient.patient_id);
  }
  std::map<std::string, CohortSplit> splits;
  for (auto& stratum : strata) {
    std::sort(stratum.begin(), stratum.end());
    const size_t n = stratum.size();
    const size_t test = std::min(ShareOf(n, rule.test_share, 2), n > 0 ? n - 1 : 0);
    const size_t tuning = std::min(ShareOf(n, rule.tuning_share, 3), n > 0 ? n - 1 - test : 0);
    for (size_t i = 0; i < n; ++i) {
      splits[stratum[i].second] = i < test            ? CohortSplit::kTest
                                  : i < test + tuning ? CohortSplit::kTuning
                                                      : CohortSplit::kTrain;
    }
  }
  return splits;
}

}  // namespace cloister::site
