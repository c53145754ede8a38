// SPDX-License-Identifier: Apache-2.0
#include "site_agent/deidentify/clean_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister::site {
namespace {

using ::testing::ElementsAre;

TEST(DescriptorWordsTest, OnlyKnownWordsAndQuantitiesStay) {
  const DescriptorWords words;
  EXPECT_EQ(words.Clean("CT Chest w/o contrast, Mr. Zhang San, tel 13912345678"), "CT Chest w contrast");
  EXPECT_EQ(words.Clean("THORAX 5mm B70f 120 kV for Dr. Li"), "THORAX 5mm 120 kV");
  EXPECT_EQ(words.Clean("Abdomen 2024-02-29 room 12 MRN 771203"), "Abdomen");
  EXPECT_EQ(words.Clean("771203mm 1.5T 1.234mm"), "1.5T");
  EXPECT_EQ(words.Clean("张三 胸部"), "");
  EXPECT_EQ(words.Clean(""), "");
}

TEST(DescriptorWordsTest, AProjectAddsItsWords) {
  const DescriptorWords words({"Pneumonia", "胸部"});
  EXPECT_EQ(words.Clean("张三 胸部 PNEUMONIA"), "胸部 PNEUMONIA");
}

TEST(DescriptorWordsTest, ANameGoesThoughItIsAWord) {
  const DescriptorWords words;
  EXPECT_EQ(words.Clean("Sharp kernel, Sharp", {"sharp"}), "kernel");
  EXPECT_THAT(NameParts("Sharp^John=王^小东"), ElementsAre("sharp", "john", "王", "小东"));
}

}  // namespace
}  // namespace cloister::site
