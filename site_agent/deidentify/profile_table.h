#pragma once
// SPDX-License-Identifier: Apache-2.0
// The table of PS3.15 Annex E: what each attribute's fate is under the Basic Profile and under its options. Data, one
// text per edition of the standard (tables/); nothing here knows an attribute by name.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::site {

// The options of the standard that a project may declare, in the order of PS3.15 E.3.
enum class DeidentifyOption {
  kCleanGraphics,
  kCleanDescriptors,
  kModifiedDates,
  kPatientCharacteristics,
  kDeviceIdentity
};
// "clean_graphics", "clean_descriptors", "modified_dates", "patient_characteristics", "device_identity".
std::string_view DeidentifyOptionName(DeidentifyOption option);
inline constexpr DeidentifyOption kDeidentifyOptions[] = {
    DeidentifyOption::kCleanGraphics, DeidentifyOption::kCleanDescriptors, DeidentifyOption::kModifiedDates,
    DeidentifyOption::kPatientCharacteristics, DeidentifyOption::kDeviceIdentity};

struct AttributeRule {
  std::string tag;                           // "0010,0010", "60xx,3000", "odd,eeee"
  std::string keyword;                       // "PatientName"
  std::string basic;                         // "X", "Z", "D", "U" or a choice of them that depends on the IOD: "X/Z/D"
  std::map<DeidentifyOption, char> options;  // 'K' or 'C'; absent: the option says nothing
};

class ProfileTable {
 public:
  // NOT_FOUND: there is no such edition here; says which there are.
  static absl::StatusOr<const ProfileTable*> OfEdition(const std::string& edition);
  // INVALID_ARGUMENT: "line 7: ...".
  static absl::StatusOr<ProfileTable> Parse(const std::string& text);

  const std::vector<AttributeRule>& rules() const { return rules_; }
  // Null: the standard does not name it. Private tags are under the rule "odd,eeee".
  const AttributeRule* Find(uint16_t group, uint16_t element) const;

 private:
  struct Pattern {
    uint32_t mask = 0;
    uint32_t tag = 0;
    size_t rule = 0;
  };
  std::vector<AttributeRule> rules_;
  std::map<uint32_t, size_t> exact_;
  std::vector<Pattern> patterns_;
  size_t private_rule_ = 0;
};

// Edition and text of each table in the program (tables.cc, written by CMake).
const std::vector<std::pair<std::string, std::string>>& ProfileTableTexts();

}  // namespace cloister::site
