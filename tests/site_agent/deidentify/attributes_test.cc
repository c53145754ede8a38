// SPDX-License-Identifier: Apache-2.0
// Every attribute of the table, at the top and inside a sequence, under the Basic Profile and under all options at
// once.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "site_agent/deidentify/deidentifier.h"
#include "tests/support/make_dicom.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

constexpr char kSecretText[] = "GEHEIM";
constexpr char kSecretUid[] = "1.2.3.4.5.6.777";
constexpr char kSecretDate[] = "19630417";

struct Tag {
  Uint16 group = 0;
  Uint16 element = 0;
};

// One tag of the rule's: x becomes 0.
Tag TagOf(const AttributeRule& rule) {
  if (rule.tag == "odd,eeee") {
    return {0x0009, 0x1001};
  }
  std::string text = rule.tag;
  std::replace(text.begin(), text.end(), 'x', '0');
  return {static_cast<Uint16>(std::stoul(text.substr(0, 4), nullptr, 16)),
          static_cast<Uint16>(std::stoul(text.substr(5), nullptr, 16))};
}

const char* SecretOf(DcmEVR vr) {
  switch (vr) {
    case EVR_DA:
      return kSecretDate;
    case EVR_DT:
      return "19630417091523";
    case EVR_TM:
      return "091523";
    case EVR_AS:
      return "061Y";
    case EVR_UI:
      return kSecretUid;
    case EVR_DS:
    case EVR_IS:
      return "617";
    case EVR_PN:
      return "GEHEIM^KRANK";
    default:
      return kSecretText;
  }
}

// False: DCMTK's dictionary is older than the attribute, or it is of another group than datasets have.
bool PutSecret(DcmItem& item, Tag where) {
  const DcmTag tag(where.group, where.element);
  if (where.group < 8 || where.group == 0xfffa || tag.getEVR() == EVR_UNKNOWN) {
    return false;
  }
  if (where.group % 2 == 1) {
    return item.putAndInsertString(DcmTag(where.group, 0x0010, EVR_LO), "GEHEIM INC").good() &&
           item.putAndInsertString(DcmTag(where.group, where.element, EVR_LO), kSecretText).good();
  }
  switch (tag.getEVR()) {
    case EVR_SQ: {
      DcmItem* inner = nullptr;
      return item.findOrCreateSequenceItem(tag, inner, -2).good() &&
             inner->putAndInsertString(DCM_TextValue, kSecretText).good();
    }
    case EVR_US:
    case EVR_SS:
    case EVR_UL:
    case EVR_FL:
    case EVR_FD:
    case EVR_xs:
      return item.putAndInsertUint16(DcmTag(where.group, where.element, EVR_US), 617).good();
    case EVR_OB:
    case EVR_OW:
    case EVR_ox:
    case EVR_UN:
      return item
          .putAndInsertUint8Array(DcmTag(where.group, where.element, EVR_OB),
                                  reinterpret_cast<const Uint8*>(kSecretText), 6)
          .good();
    default:
      return item.putAndInsertString(tag, SecretOf(tag.getEVR())).good();
  }
}

class AttributesTest : public ::testing::Test {
 protected:
  AttributesTest() : secret_(crypto::SecretBytes::CopyOf("a site secret of thirty-two bytes")) {}

  // Where a test looks: the dataset and an item of a sequence that the table does not name.
  static DcmItem& Nested(DcmDataset& data) {
    DcmItem* item = nullptr;
    data.findOrCreateSequenceItem(DCM_AnatomicRegionSequence, item);
    item->findOrCreateSequenceItem(DCM_AnatomicRegionModifierSequence, item);
    return *item;
  }

  // The dataset of one file that holds this attribute with a secret, de-identified; null when it cannot be written.
  std::unique_ptr<DcmFileFormat> Deidentified(const AttributeRule& rule, const DeidentifyProfile& profile) {
    bool put = true;
    testing::GreyFile grey;
    grey.change = [&](DcmDataset& data) { put = PutSecret(data, TagOf(rule)) && PutSecret(Nested(data), TagOf(rule)); };
    EXPECT_TRUE(testing::MakeDicom(grey, in_));
    if (!put) {
      return nullptr;
    }
    const auto deidentifier = Deidentifier::Create(profile, &secret_);
    EXPECT_TRUE(deidentifier.ok());
    std::filesystem::remove(out_);
    const auto counts = deidentifier->File(in_, out_);
    EXPECT_TRUE(counts.ok()) << rule.keyword << counts.status();
    auto file = std::make_unique<DcmFileFormat>();
    EXPECT_TRUE(file->loadFile(out_.c_str()).good()) << rule.keyword;
    return file;
  }

  // How many files of the table could be made; `check` looks at each in both places.
  int ForEachAttribute(const DeidentifyProfile& profile,
                       const std::function<void(const AttributeRule&, DcmItem&, bool top)>& check) {
    int made = 0;
    for (const AttributeRule& rule : (*ProfileTable::OfEdition("2024b"))->rules()) {
      const auto file = Deidentified(rule, profile);
      if (file != nullptr) {
        check(rule, *file->getDataset(), true);
        check(rule, Nested(*file->getDataset()), false);
        ++made;
      }
    }
    return made;
  }

  crypto::SecretBytes secret_;
  testing::TempDir folder_;
  std::filesystem::path in_ = folder_.path() / "in.dcm";
  std::filesystem::path out_ = folder_.path() / "out.dcm";
};

TEST_F(AttributesTest, BasicProfile) {
  const int made = ForEachAttribute({}, [&](const AttributeRule& rule, DcmItem& item, bool top) {
    const Tag where = TagOf(rule);
    DcmElement* element = nullptr;
    const bool there = item.findAndGetElement(DcmTagKey(where.group, where.element), element).good();
    const char action = rule.basic.back();
    const bool pseudonym = top && (rule.keyword == "PatientID" || rule.keyword == "PatientName");
    OFString value;
    if (there && element->ident() != EVR_SQ) {
      element->getOFStringArray(value);
    }
    if (action == 'X') {
      // What says how it was de-identified is written by the de-identifier itself.
      EXPECT_TRUE(!there || rule.keyword == "DeidentificationMethod") << rule.keyword;
    } else if (pseudonym) {
      EXPECT_EQ(value.size(), 17u) << rule.keyword;
    } else if (action == 'Z') {
      ASSERT_TRUE(there) << rule.keyword;
      EXPECT_EQ(element->ident() == EVR_SQ ? static_cast<DcmSequenceOfItems*>(element)->card() : element->getLength(),
                0u)
          << rule.keyword;
    } else if (action == 'D') {
      ASSERT_TRUE(there) << rule.keyword;
      EXPECT_GT(element->ident() == EVR_SQ ? static_cast<DcmSequenceOfItems*>(element)->card() : element->getLength(),
                0u)
          << rule.keyword;
    } else if (action == 'U') {
      ASSERT_TRUE(there) << rule.keyword;
      EXPECT_EQ(std::string(value.c_str()).rfind("2.25.", 0), 0u) << rule.keyword << " " << value.c_str();
    }
    const std::string bytes = *ReadFile(out_);
    EXPECT_EQ(bytes.find(kSecretText), std::string::npos) << rule.keyword;
    EXPECT_EQ(bytes.find(kSecretUid), std::string::npos) << rule.keyword;
    EXPECT_EQ(bytes.find(kSecretDate), std::string::npos) << rule.keyword;
  });
  std::cout << fmt::format("[ table ] {} of 621 attributes are in this DCMTK's dictionary\n", made);
  EXPECT_GE(made, 560);
}

TEST_F(AttributesTest, AllOptions) {
  DeidentifyProfile profile;
  profile.options = {std::begin(kDeidentifyOptions), std::end(kDeidentifyOptions)};
  int kept = 0;
  int moved = 0;
  ForEachAttribute(profile, [&](const AttributeRule& rule, DcmItem& item, bool top) {
    const Tag where = TagOf(rule);
    DcmElement* element = nullptr;
    const bool there = item.findAndGetElement(DcmTagKey(where.group, where.element), element).good();
    const bool keep =
        std::any_of(rule.options.begin(), rule.options.end(), [](const auto& cell) { return cell.second == 'K'; });
    OFString value;
    if (there && element->ident() != EVR_SQ) {
      element->getOFStringArray(value);
    }
    const std::string bytes = *ReadFile(out_);
    if (keep) {
      EXPECT_TRUE(there) << rule.keyword;
      kept += top ? 1 : 0;
      return;
    }
    EXPECT_EQ(bytes.find(kSecretText), std::string::npos) << rule.keyword;
    EXPECT_EQ(bytes.find(kSecretUid), std::string::npos) << rule.keyword;
    EXPECT_EQ(bytes.find(kSecretDate), std::string::npos) << rule.keyword;
    if (rule.options.count(DeidentifyOption::kModifiedDates) == 1 && there && element->getVR() == EVR_DA) {
      EXPECT_EQ(value.size(), 8u) << rule.keyword;
      const int year = std::stoi(value.c_str()) / 10000;
      EXPECT_TRUE(year >= 1953 && year <= 1962) << rule.keyword << " " << value.c_str();
      moved += top ? 1 : 0;
    }
  });
  EXPECT_GE(kept, 50);
  EXPECT_GE(moved, 40);
}

// Attributes that DCMTK does not know, and such as hide under VR UN, are removed whatever the options are.
TEST_F(AttributesTest, WhatIsNotKnownGoes) {
  DeidentifyProfile profile;
  profile.options = {std::begin(kDeidentifyOptions), std::end(kDeidentifyOptions)};
  int unknown = 0;
  for (const AttributeRule& rule : (*ProfileTable::OfEdition("2024b"))->rules()) {
    const Tag where = TagOf(rule);
    if (where.group < 8 || where.group == 0xfffa || where.group % 2 == 1) {
      continue;
    }
    testing::GreyFile grey;
    grey.change = [&](DcmDataset& data) {
      data.findAndDeleteElement(DcmTagKey(where.group, where.element));
      auto* element = new DcmOtherByteOtherWord(DcmTag(where.group, where.element, EVR_UN));
      element->putUint8Array(reinterpret_cast<const Uint8*>(kSecretText), 6);
      data.insert(element, true);
    };
    ASSERT_TRUE(testing::MakeDicom(grey, in_));
    std::filesystem::remove(out_);
    const auto counts = Deidentifier::Create(profile, &secret_)->File(in_, out_);
    if (!counts.ok()) {
      continue;  // a file that is not read does not leave
    }
    ++unknown;
    DcmFileFormat file;
    ASSERT_TRUE(file.loadFile(out_.c_str()).good()) << rule.keyword;
    if (!file.getDataset()->tagExists(DcmTagKey(where.group, where.element))) {
      EXPECT_EQ(ReadFile(out_)->find(kSecretText), std::string::npos) << rule.keyword;
    }
  }
  EXPECT_GT(unknown, 500);
}

}  // namespace
}  // namespace cloister::site
