// SPDX-License-Identifier: Apache-2.0
#include "site_agent/policy/privacy_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PrivacyWordsTest, SaysWhenThereIsNone) {
  EXPECT_THAT(PrivacyInWords({}), HasSubstr("no differential privacy"));
  EXPECT_THAT(PrivacyInChinese({}), HasSubstr("未使用差分隐私"));
}

TEST(PrivacyWordsTest, SaysUnitAskedSpentAndLimitInBothLanguages) {
  PrivacyOffer offer;
  offer.planned = plan::DifferentialPrivacy{plan::kPatientUnit, 1.1, 1, 1e-5, 8};
  offer.epsilon = 3.25;
  offer.training_patients = 120;
  offer.spent = 1.5;
  offer.promised = 2.5;
  offer.limit = PrivacyLimit{10, 1e-4, true};
  for (const std::string& text : {PrivacyInWords(offer), PrivacyInChinese(offer)}) {
    for (const char* number : {"3.25", "1e-05", "120", "8", "1.5", "2.5", "10"}) {
      EXPECT_THAT(text, HasSubstr(number));
    }
  }
  EXPECT_THAT(PrivacyInWords(offer), HasSubstr("for each patient"));
  EXPECT_THAT(PrivacyInChinese(offer), HasSubstr("每名患者"));
  offer.planned->unit = plan::kSiteUnit;
  offer.limit.reset();
  EXPECT_THAT(PrivacyInWords(offer), HasSubstr("for each site"));
  EXPECT_THAT(PrivacyInWords(offer), HasSubstr("its policy sets no limit"));
  EXPECT_THAT(PrivacyInChinese(offer), HasSubstr("每家医院"));
}

TEST(PrivacyWordsTest, WithoutACohortThePlansBoundIsSaid) {
  PrivacyOffer offer;
  offer.planned = plan::DifferentialPrivacy{plan::kPatientUnit, 1.1, 1, 1e-5, 8};
  EXPECT_THAT(PrivacyInWords(offer), HasSubstr("at most epsilon 8"));
  EXPECT_THAT(PrivacyInChinese(offer), HasSubstr("最多消耗 ε = 8"));
  EXPECT_THAT(PrivacyInWords(offer), Not(HasSubstr("training patients")));
}

}  // namespace
}  // namespace cloister::site
