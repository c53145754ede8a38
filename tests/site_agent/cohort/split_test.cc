// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/split.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cloister::site {
namespace {

crypto::SecretBytes Secret(char fill = 7) {
  return crypto::SecretBytes::CopyOf(std::string(32, fill));
}

std::vector<PatientClass> Patients(int positives, int negatives) {
  std::vector<PatientClass> patients;
  for (int i = 0; i < positives; ++i) {
    patients.push_back({"P" + std::to_string(i), true});
  }
  for (int i = 0; i < negatives; ++i) {
    patients.push_back({"N" + std::to_string(i), false});
  }
  return patients;
}

std::map<std::pair<char, CohortSplit>, int> Count(const std::map<std::string, CohortSplit>& splits) {
  std::map<std::pair<char, CohortSplit>, int> counts;
  for (const auto& [patient, split] : splits) {
    ++counts[{patient[0], split}];
  }
  return counts;
}

const SplitRule kRule = {0.15, 0.25, 42};

TEST(SplitTest, TrainingPatientsAreAsManyAsTheSplitGives) {
  for (const SplitRule& rule : {kRule, SplitRule{0.2, 0.3, 1}, SplitRule{0, 0, 1}, SplitRule{0.49, 0.49, 3}}) {
    for (int positives = 0; positives < 12; ++positives) {
      for (int negatives : {0, 1, 2, 3, 7, 40}) {
        const auto splits = SplitPatients(Patients(positives, negatives), rule, Secret());
        const auto training = std::count_if(splits.begin(), splits.end(),
                                            [](const auto& one) { return one.second == CohortSplit::kTrain; });
        EXPECT_EQ(TrainingPatients(static_cast<size_t>(positives), static_cast<size_t>(negatives), rule),
                  static_cast<size_t>(training))
            << positives << " and " << negatives;
      }
    }
  }
}

TEST(SplitTest, KeepsTheSharesInEachClass) {
  auto counts = Count(SplitPatients(Patients(100, 40), kRule, Secret()));
  EXPECT_EQ((counts[{'P', CohortSplit::kTest}]), 25);
  EXPECT_EQ((counts[{'P', CohortSplit::kTuning}]), 15);
  EXPECT_EQ((counts[{'P', CohortSplit::kTrain}]), 60);
  EXPECT_EQ((counts[{'N', CohortSplit::kTest}]), 10);
  EXPECT_EQ((counts[{'N', CohortSplit::kTuning}]), 6);
}

TEST(SplitTest, DependsOnlyOnTheSecretTheSeedAndTheIds) {
  std::vector<PatientClass> patients = Patients(30, 30);
  const auto splits = SplitPatients(patients, kRule, Secret());
  std::reverse(patients.begin(), patients.end());
  EXPECT_EQ(SplitPatients(patients, kRule, Secret()), splits);
  EXPECT_NE(SplitPatients(patients, {0.15, 0.25, 43}, Secret()), splits);
  EXPECT_NE(SplitPatients(patients, kRule, Secret(8)), splits);
}

TEST(SplitTest, TinyAndOneClassSitesWork) {
  for (int positives = 0; positives <= 6; ++positives) {
    for (int negatives = 0; negatives <= 6; ++negatives) {
      const auto splits = SplitPatients(Patients(positives, negatives), kRule, Secret());
      EXPECT_EQ(splits.size(), static_cast<size_t>(positives + negatives));
      auto counts = Count(splits);
      for (const auto& [letter, n] : {std::pair('P', positives), std::pair('N', negatives)}) {
        EXPECT_EQ((counts[{letter, CohortSplit::kTrain}] >= 1), n >= 1);
        EXPECT_EQ((counts[{letter, CohortSplit::kTest}] >= 1), n >= 2);
        EXPECT_EQ((counts[{letter, CohortSplit::kTuning}] >= 1), n >= 3);
      }
    }
  }
}

TEST(SplitTest, SharesOfZeroAreHonoured) {
  const auto counts = Count(SplitPatients(Patients(10, 10), {0, 0, 1}, Secret()));
  EXPECT_EQ(counts.size(), 2u);
}

TEST(SplitTest, KeyedHashSeparatesPurposes) {
  EXPECT_NE(KeyedHash(Secret(), "split", 0, "x"), KeyedHash(Secret(), "case", 0, "x"));
  EXPECT_NE(KeyedHash(Secret(), "case", 0, "x"), KeyedHash(Secret(), "case", 1, "x"));
  EXPECT_EQ(KeyedHash(Secret(), "case", 0, "x"), KeyedHash(Secret(), "case", 0, "x"));
}

}  // namespace
}  // namespace cloister::site
