// SPDX-License-Identifier: Apache-2.0
// Names in every character set of the standard: the bytes of the file stay as they are, and people see the name.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/utf8.h"
#include "site_agent/ingest/dicom_header.h"
#include "tests/support/make_dicom.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

struct Name {
  const char* character_set;
  std::string bytes;
  const char* utf8;
};

// The examples of PS3.5 Annexes H to K, and what they leave out.
const std::vector<Name>& Names() {
  static const auto& names = *new std::vector<Name>{
      {"", "Doe^Jane", "Doe^Jane"},
      {"ISO_IR 100", "Buc^J\xe9r\xf4me", "Buc^Jérôme"},
      {"ISO_IR 144", "\xbb\xee\xda", "Люк"},
      {"ISO_IR 192", "Wang^XiaoDong=王^小东", "Wang^XiaoDong=王^小东"},
      {"GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"},
      {"GBK", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"},
      {"GB18030", "\x95\x32\x82\x36^\x81\x30\x86\x30", "𠀀^¸"},  // four bytes
      {"GB18030", "\x81\x5c^\x90\x5e", "乗^恀"},                 // second bytes that look like \ and ^
      {"GBK", "\x81\x5c^\x90\x5e", "乗^恀"},
      {"\\ISO 2022 IR 58", "Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "Zhang^XiaoDong=张^小东="},
      {"\\ISO 2022 IR 149",
       "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
       "Hong^Gildong=洪^吉洞=홍^길동"},
      {"\\ISO 2022 IR 87", "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
       "Yamada^Tarou=山田^太郎=やまだ^たろう"},
      {"ISO 2022 IR 13\\ISO 2022 IR 87",
       "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
       "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
      {"\\ISO 2022 IR 159", "\x1b$(D\x30\x21\x1b(B", "丂"},
  };
  return names;
}

TEST(CharacterSetTest, NamesOfTheStandard) {
  const testing::TempDir folder;
  for (const Name& name : Names()) {
    testing::GreyFile grey;
    grey.specific_character_set = name.character_set;
    grey.patient_name = name.bytes;
    ASSERT_TRUE(testing::MakeDicom(grey, folder.path() / "x.dcm"));
    const auto header = ReadHeader(folder.path() / "x.dcm");
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->specific_character_set, name.character_set);
    EXPECT_EQ(header->patient_name, grey.patient_name) << name.utf8;  // byte for byte
    EXPECT_EQ(ToUtf8(header->patient_name, header->specific_character_set), name.utf8);
  }
}

TEST(CharacterSetTest, WhatIsWrongKeepsWhatCanBeRead) {
  EXPECT_EQ(ToUtf8("Wang\xff^x", "ISO_IR 192"), "Wang?^x");
  EXPECT_EQ(ToUtf8("\xcd\xf5^A", ""), "??^A");
  EXPECT_EQ(ToUtf8("A\x1b$B;", "\\ISO 2022 IR 87"), "A?$B;");    // cut in the middle
  EXPECT_EQ(ToUtf8("A\x1b$X;3", "\\ISO 2022 IR 87"), "A?$X;3");  // an escape that is none
  EXPECT_EQ(ToUtf8("A\xf0", "ISO 2022 IR 13\\ISO 2022 IR 87"), "A?");
}

TEST(CharacterSetTest, AnyBytesBecomeUtf8) {
  uint32_t state = 1;
  for (const Name& name : Names()) {
    for (int round = 0; round < 300; ++round) {
      std::string bytes = name.bytes;
      for (int change = 0; change < 3; ++change) {
        state = state * 1664525 + 1013904223;
        bytes[(state >> 8) % bytes.size()] = static_cast<char>(state >> 24);
      }
      EXPECT_TRUE(IsUtf8(ToUtf8(bytes, name.character_set))) << name.character_set;
    }
  }
}

}  // namespace
}  // namespace cloister::site
