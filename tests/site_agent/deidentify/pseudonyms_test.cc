// SPDX-License-Identifier: Apache-2.0
#include "site_agent/deidentify/pseudonyms.h"

#include <gtest/gtest.h>

#include <set>

#include "site_agent/ingest/dicom_header.h"

namespace cloister::site {
namespace {

const crypto::SecretBytes& Secret(const char* text) {
  return *new crypto::SecretBytes(crypto::SecretBytes::CopyOf(text));
}

TEST(PseudonymsTest, UidsAreValidStableAndOfThisSite) {
  const Pseudonyms north(&Secret("north's secret of 32 bytes ......"));
  const Pseudonyms south(&Secret("south's secret of 32 bytes ......"));
  const std::string uid = north.Uid("1.2.840.113619.2.1");
  EXPECT_TRUE(IsValidUid(uid)) << uid;
  EXPECT_EQ(uid.rfind("2.25.", 0), 0u);
  EXPECT_EQ(uid, north.Uid("1.2.840.113619.2.1"));
  EXPECT_NE(uid, north.Uid("1.2.840.113619.2.2"));
  EXPECT_NE(uid, south.Uid("1.2.840.113619.2.1"));
}

TEST(PseudonymsTest, PatientsAndTheirDays) {
  const Pseudonyms north(&Secret("north's secret of 32 bytes ......"));
  EXPECT_EQ(north.Patient("P1").size(), 17u);
  EXPECT_NE(north.Patient("P1"), north.Patient("P2"));
  std::set<int> days;
  for (int i = 0; i < 1000; ++i) {
    days.insert(north.DaysBack(std::to_string(i)));
  }
  EXPECT_GE(*days.begin(), 365);
  EXPECT_LE(*days.rbegin(), 3652);
  EXPECT_GT(days.size(), 800u);  // of 3288: about 863 expected
}

TEST(PseudonymsTest, Dates) {
  EXPECT_EQ(DateBefore("20240301", 1), "20240229");
  EXPECT_EQ(DateBefore("20230301", 1), "20230228");
  EXPECT_EQ(DateBefore("20240101", 366), "20221231");
  for (const char* bad : {"", "2024", "20240230", "20241301", "2024.1.1", "20240101 ", "00000000", "15000101"}) {
    EXPECT_EQ(DateBefore(bad, 1), "") << bad;
  }
  EXPECT_EQ(DateTimeBefore("20240301101530.123456+0800", 1), "20240229101530.123456+0800");
  EXPECT_EQ(DateTimeBefore("20240301", 1), "20240229");
  for (const char* bad : {"", "2024", "20240301 10", "20240301Zhang", "20240230101010"}) {
    EXPECT_EQ(DateTimeBefore(bad, 1), "") << bad;
  }
}

}  // namespace
}  // namespace cloister::site
