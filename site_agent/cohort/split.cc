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

struct StratumSizes {
  size_t test = 0;
  size_t tuning = 0;
};

StratumSizes SizesOf(size_t patients, const SplitRule& rule) {
  StratumSizes sizes;
  sizes.test = std::min(ShareOf(patients, rule.test_share, 2), patients > 0 ? patients - 1 : 0);
  sizes.tuning = std::min(ShareOf(patients, rule.tuning_share, 3), patients > 0 ? patients - 1 - sizes.test : 0);
  return sizes;
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
    const auto [test, tuning] = SizesOf(stratum.size(), rule);
    for (size_t i = 0; i < stratum.size(); ++i) {
      splits[stratum[i].second] = i < test            ? CohortSplit::kTest
                                  : i < test + tuning ? CohortSplit::kTuning
                                                      : CohortSplit::kTrain;
    }
  }
  return splits;
}

size_t TrainingPatients(size_t positive, size_t negative, const SplitRule& rule) {
  size_t training = 0;
  for (const size_t patients : {positive, negative}) {
    const auto [test, tuning] = SizesOf(patients, rule);
    training += patients - test - tuning;
  }
  return training;
}

}  // namespace cloister::site
