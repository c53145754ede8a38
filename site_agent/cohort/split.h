#pragma once
// SPDX-License-Identifier: Apache-2.0
// The split into training, tuning and test patients. Whole patients only: all studies of one patient are in one split,
// also across experiments with the same split_seed and when the cohort grows by others. Pure.
//
// Rule: patients are put in two strata, those with at least one positive study and the others. In a stratum of n
// patients, ordered by a keyed hash of the patient id and the plan's split_seed, the first round(n * test_share) are
// test, the next round(n * tuning_share) tuning, the rest training; where a share is above zero, n >= 2 gives at least
// one test patient and n >= 3 at least one tuning patient, and at least one is always left for training. The key is a
// secret of the site, so that nobody outside can tell who is where.

#include <map>
#include <string>
#include <vector>

#include "protocols/crypto/secret.h"

namespace cloister::site {

enum class CohortSplit { kTrain, kTuning, kTest };
// "train", "tuning", "test".
std::string_view CohortSplitName(CohortSplit split);

struct PatientClass {
  std::string patient_id;
  bool positive = false;
};

struct SplitRule {
  double tuning_share = 0;
  double test_share = 0;
  uint64_t split_seed = 0;
};

// Each patient id once. The order of `patients` does not matter.
std::map<std::string, CohortSplit> SplitPatients(const std::vector<PatientClass>& patients, const SplitRule& rule,
                                                 const crypto::SecretBytes& site_secret);

// How many patients are for training where `positive` and `negative` are in the two strata.
size_t TrainingPatients(size_t positive, size_t negative, const SplitRule& rule);

// The keyed hash that the order, and pseudonyms, come from: 16 bytes, different for every `purpose`.
Bytes KeyedHash(const crypto::SecretBytes& site_secret, std::string_view purpose, uint64_t seed, ByteView value);

}  // namespace cloister::site
