// SPDX-License-Identifier: Apache-2.0
#include "site_agent/deidentify/attribute_walk.h"

#include <fmt/format.h>

#include <algorithm>

#include "site_agent/deidentify/clean_text.h"
#include "site_agent/deidentify/element_values.h"
#include "site_agent/ingest/dicom_header.h"

namespace cloister::site {
namespace {

enum class Action { kRemove, kEmpty, kDummy, kReplaceUid, kKeep, kCleanText, kCleanGraphics, kMoveDate };

// Where the choice depends on the IOD, the one that is right for every IOD: a dummy where one is allowed, else empty.
Action BasicAction(const std::string& basic) {
  switch (basic.back()) {
    case 'X':
      return Action::kRemove;
    case 'Z':
      return Action::kEmpty;
    case 'D':
      return Action::kDummy;
    case 'U':
      return Action::kReplaceUid;
    default:  // U*: a sequence that stays, with its UIDs replaced
      return Action::kKeep;
  }
}

bool IsText(DcmEVR vr) {
  switch (vr) {
    case EVR_LO:
    case EVR_LT:
    case EVR_SH:
    case EVR_ST:
    case EVR_UC:
    case EVR_UT:
      return true;
    default:
      return false;
  }
}

bool IsDate(DcmEVR vr) {
  return vr == EVR_DA || vr == EVR_DT || vr == EVR_TM;
}

class AttributeWalk {
 public:
  AttributeWalk(const DeidentifyProfile& profile, const ProfileTable& table, const Pseudonyms& pseudonyms,
                DcmDataset& data)
      : profile_(profile), table_(table), pseudonyms_(pseudonyms), words_(profile.descriptor_words) {
    OFString value;
    data.findAndGetOFStringArray(DCM_SpecificCharacterSet, value);
    character_set_ = std::string(value.c_str(), value.size());
    DcmElement* element = nullptr;
    if (data.findAndGetElement(DCM_PatientID, element).good()) {
      patient_id_ = ValueOf(*element);
    }
    CollectNames(data);
  }

  DeidentifyCounts Run(DcmDataset& data) {
    CleanItem(data, true);
    AddWhatWasDone(data);
    return counts_;
  }

 private:
  void CollectNames(DcmItem& item) {
    for (unsigned long i = 0; i < item.card(); ++i) {
      DcmElement* element = item.getElement(i);
      if (element->ident() == EVR_SQ) {
        auto* sequence = static_cast<DcmSequenceOfItems*>(element);
        for (unsigned long k = 0; k < sequence->card(); ++k) {
          CollectNames(*sequence->getItem(k));
        }
      } else if (element->getVR() == EVR_PN) {
        for (std::string& part : NameParts(ToUtf8(ValueOf(*element), character_set_))) {
          names_.insert(std::move(part));
        }
      }
    }
  }

  bool Has(DeidentifyOption option) const { return profile_.options.count(option) == 1; }

  Action ActionFor(const AttributeRule& rule, DcmEVR vr) const {
    Action action = BasicAction(rule.basic);
    for (const auto& [option, cell] : rule.options) {
      if (!Has(option)) {
        continue;
      }
      if (cell == 'K') {
        return Action::kKeep;
      }
      if (option == DeidentifyOption::kCleanGraphics) {
        action = Action::kCleanGraphics;
      } else if (option == DeidentifyOption::kModifiedDates && IsDate(vr) && !patient_id_.empty()) {
        action = Action::kMoveDate;
      } else if (IsText(vr) && Has(DeidentifyOption::kCleanDescriptors) &&
                 (option == DeidentifyOption::kCleanDescriptors ||
                  option == DeidentifyOption::kPatientCharacteristics)) {
        action = Action::kCleanText;
      }
    }
    return action;
  }

  // An attribute that the table does not name stays where the standard's dictionary knows it and it holds neither a
  // name nor prose: what is not understood may be anything, and text is named by the table only where it usually
  // stands.
  static bool MayStay(DcmElement& element) {
    switch (element.getVR()) {
      case EVR_UN:
      case EVR_PN:
      case EVR_LT:
      case EVR_ST:
      case EVR_UT:
        return false;
      default:
        break;
    }
    const bool known = dcmDataDict.rdlock().findEntry(element.getTag(), nullptr) != nullptr;
    dcmDataDict.rdunlock();
    return known;
  }

  void CleanItem(DcmItem& item, bool top) {
    for (unsigned long i = 0; i < item.card();) {
      DcmElement* element = item.getElement(i);
      const DcmTagKey tag = element->getTag();
      const AttributeRule* rule = table_.Find(tag.getGroup(), tag.getElement());
      const bool keep_overlay = KeepsOverlay(item, tag);
      const bool remove = tag.getElement() == 0 || (IsOverlay(tag) && !keep_overlay) ||
                          (rule == nullptr ? !MayStay(*element) : !Apply(*rule, *element, top));
      if (remove) {
        delete item.remove(i);
        counts_.removed += tag.getElement() == 0 ? 0 : 1;
        continue;
      }
      if (element->ident() == EVR_SQ) {
        auto* sequence = static_cast<DcmSequenceOfItems*>(element);
        for (unsigned long k = 0; k < sequence->card(); ++k) {
          CleanItem(*sequence->getItem(k), false);
        }
      }
      ++i;
    }
  }

  static bool IsOverlay(const DcmTagKey& tag) { return (tag.getGroup() & 0xff00) == 0x6000 && tag.getGroup() % 2 == 0; }

  // A region of interest may stay where graphics are cleaned; other overlays are where systems write names. An overlay
  // stays or goes as a whole: without its data its description is not valid.
  bool KeepsOverlay(DcmItem& item, const DcmTagKey& tag) const {
    if (!IsOverlay(tag) || !Has(DeidentifyOption::kCleanGraphics) || tag.getElement() == 0x4000) {
      return false;
    }
    OFString type;
    item.findAndGetOFString(DcmTagKey(tag.getGroup(), 0x0040), type);
    return type == "R" && item.tagExists(DcmTagKey(tag.getGroup(), 0x3000));
  }

  // False: to be removed.
  bool Apply(const AttributeRule& rule, DcmElement& element, bool top) {
    if (element.getVR() == EVR_UN) {
      return false;  // not even the option to keep it says what is in there
    }
    const Action action = ActionFor(rule, element.getVR());
    switch (action) {
      case Action::kRemove:
        return false;
      case Action::kKeep:
        return true;
      case Action::kEmpty:
      case Action::kDummy:
        return Blank(action, element, top);
      case Action::kReplaceUid:
        return ReplaceUids(element);
      case Action::kCleanGraphics:
        return CleanGraphics(element);
      case Action::kCleanText:
        return CleanText(element) || FallBack(rule, element, top);
      case Action::kMoveDate:
        return MoveDates(element) || FallBack(rule, element, top);
    }
    return false;
  }

  bool FallBack(const AttributeRule& rule, DcmElement& element, bool top) {
    const Action basic = BasicAction(rule.basic);
    return basic != Action::kRemove && Blank(basic, element, top);
  }

  bool Blank(Action action, DcmElement& element, bool top) {
    const DcmTagKey tag = element.getTag();
    if (top && !patient_id_.empty() && (tag == DCM_PatientID || tag == DCM_PatientName)) {
      element.putString(pseudonyms_.Patient(patient_id_).c_str());
      ++counts_.replaced;
      return true;
    }
    const bool was_empty = element.getLength() == 0;
    if (element.ident() == EVR_SQ) {
      auto& sequence = static_cast<DcmSequenceOfItems&>(element);
      sequence.clear();
      if (action == Action::kDummy && !was_empty) {
        sequence.append(new DcmItem);
      }
    } else if (action == Action::kEmpty || was_empty) {
      element.clear();
    } else if (element.getVR() == EVR_UI) {
      return ReplaceUids(element);
    } else {
      PutDummy(element);
    }
    ++(action == Action::kEmpty ? counts_.emptied : counts_.replaced);
    return true;
  }

  bool ReplaceUids(DcmElement& element) {
    std::string replaced;
    for (const std::string& uid : SplitValues(ValueOf(element))) {
      replaced += (replaced.empty() ? "" : "\\") + (uid.empty() ? "" : pseudonyms_.Uid(uid));
    }
    element.putString(replaced.c_str());
    ++counts_.replaced;
    return true;
  }

  bool CleanGraphics(DcmElement& element) {
    if (element.getTag() != DCM_GraphicAnnotationSequence || element.ident() != EVR_SQ) {
      return IsOverlay(element.getTag()) && element.getTag().getElement() != 0x4000;  // overlays: see KeepsOverlay
    }
    auto& sequence = static_cast<DcmSequenceOfItems&>(element);
    for (unsigned long i = 0; i < sequence.card(); ++i) {
      sequence.getItem(i)->findAndDeleteElement(DCM_TextObjectSequence, OFTrue);
    }
    ++counts_.cleaned;
    return sequence.card() > 0;
  }

  // Cleaned words are ASCII or of the project's list; the latter only where the file's character set can hold them.
  bool CleanText(DcmElement& element) {
    std::string cleaned;
    for (const std::string& value : SplitValues(ToUtf8(ValueOf(element), character_set_))) {
      const std::string text = words_.Clean(value, names_);
      cleaned += (cleaned.empty() || text.empty() ? "" : "\\") + text;
    }
    const bool ascii =
        std::all_of(cleaned.begin(), cleaned.end(), [](char c) { return static_cast<signed char>(c) > 0; });
    if (cleaned.empty() || (!ascii && character_set_ != "ISO_IR 192")) {
      return false;
    }
    element.putString(cleaned.c_str());
    ++counts_.cleaned;
    return true;
  }

  // Times of day stay, so that what happened on one day keeps its order.
  bool MoveDates(DcmElement& element) {
    if (element.getLength() == 0 || element.getVR() == EVR_TM) {
      return true;
    }
    const int days = pseudonyms_.DaysBack(patient_id_);
    std::string moved;
    for (const std::string& value : SplitValues(ValueOf(element))) {
      const std::string date = element.getVR() == EVR_DA ? DateBefore(value, days) : DateTimeBefore(value, days);
      if (date.empty()) {
        return false;
      }
      moved += (moved.empty() ? "" : "\\") + date;
    }
    element.putString(moved.c_str());
    ++counts_.replaced;
    return true;
  }

  void AddCode(DcmDataset& data, const char* value, const char* meaning) {
    DcmItem* item = nullptr;
    if (data.findOrCreateSequenceItem(DCM_DeidentificationMethodCodeSequence, item, -2).good()) {
      item->putAndInsertString(DCM_CodeValue, value);
      item->putAndInsertString(DCM_CodingSchemeDesignator, "DCM");
      item->putAndInsertString(DCM_CodeMeaning, meaning);
    }
  }

  void AddWhatWasDone(DcmDataset& data) {
    data.putAndInsertString(DCM_PatientIdentityRemoved, "YES");
    data.putAndInsertString(DCM_DeidentificationMethod,
                            fmt::format("Cloister, PS3.15 Annex E {}", profile_.edition).c_str());
    data.putAndInsertString(DCM_LongitudinalTemporalInformationModified,
                            Has(DeidentifyOption::kModifiedDates) && !patient_id_.empty() ? "MODIFIED" : "REMOVED");
    data.findAndDeleteElement(DCM_DeidentificationMethodCodeSequence);
    AddCode(data, "113100", "Basic Application Confidentiality Profile");
    static const std::pair<DeidentifyOption, std::pair<const char*, const char*>> kCodes[] = {
        {DeidentifyOption::kCleanGraphics, {"113103", "Clean Graphics Option"}},
        {DeidentifyOption::kCleanDescriptors, {"113105", "Clean Descriptors Option"}},
        {DeidentifyOption::kModifiedDates,
         {"113107", "Retain Longitudinal Temporal Information Modified Dates Option"}},
        {DeidentifyOption::kPatientCharacteristics, {"113108", "Retain Patient Characteristics Option"}},
        {DeidentifyOption::kDeviceIdentity, {"113109", "Retain Device Identity Option"}},
    };
    for (const auto& [option, code] : kCodes) {
      if (Has(option)) {
        AddCode(data, code.first, code.second);
      }
    }
  }

  const DeidentifyProfile& profile_;
  const ProfileTable& table_;
  const Pseudonyms& pseudonyms_;
  DescriptorWords words_;
  std::string character_set_;
  std::string patient_id_;
  std::set<std::string> names_;
  DeidentifyCounts counts_;
};

}  // namespace

DeidentifyCounts CleanAttributes(const DeidentifyProfile& profile, const ProfileTable& table,
                                 const Pseudonyms& pseudonyms, DcmDataset& data) {
  return AttributeWalk(profile, table, pseudonyms, data).Run(data);
}

}  // namespace cloister::site
