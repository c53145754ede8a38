// SPDX-License-Identifier: Apache-2.0
#include "site_agent/deidentify/profile_table.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <sstream>

namespace cloister::site {
namespace {

constexpr char kPrivate[] = "odd,eeee";

// Columns of the table, after tag and basic profile; those of options that no project can declare are read past.
constexpr std::optional<DeidentifyOption> kColumns[] = {
    std::nullopt,  // retain safe private
    std::nullopt,  // retain UIDs
    DeidentifyOption::kDeviceIdentity,
    std::nullopt,  // retain institution identity
    DeidentifyOption::kPatientCharacteristics,
    std::nullopt,  // retain full dates
    DeidentifyOption::kModifiedDates,
    DeidentifyOption::kCleanDescriptors,
    std::nullopt,  // clean structured content
    DeidentifyOption::kCleanGraphics,
};

bool IsBasic(const std::string& action) {
  static const auto& known = *new std::set<std::string>{"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"};
  return known.count(action) == 1;
}

// "60xx,3000" -> mask ff00ffff, tag 60003000.
bool ParseTag(const std::string& text, uint32_t* mask, uint32_t* tag) {
  if (text.size() != 9 || text[4] != ',') {
    return false;
  }
  *mask = 0;
  *tag = 0;
  for (const char c : text.substr(0, 4) + text.substr(5)) {
    const size_t digit = std::string("0123456789abcdef").find(c);
    if (digit == std::string::npos && c != 'x') {
      return false;
    }
    *mask = *mask << 4 | (c == 'x' ? 0 : 0xf);
    *tag = *tag << 4 | (c == 'x' ? 0 : static_cast<uint32_t>(digit));
  }
  return true;
}

}  // namespace

std::string_view DeidentifyOptionName(DeidentifyOption option) {
  switch (option) {
    case DeidentifyOption::kCleanGraphics:
      return "clean_graphics";
    case DeidentifyOption::kCleanDescriptors:
      return "clean_descriptors";
    case DeidentifyOption::kModifiedDates:
      return "modified_dates";
    case DeidentifyOption::kPatientCharacteristics:
      return "patient_characteristics";
    case DeidentifyOption::kDeviceIdentity:
      return "device_identity";
  }
  return "";
}

absl::StatusOr<ProfileTable> ProfileTable::Parse(const std::string& text) {
  ProfileTable table;
  std::istringstream lines(text);
  std::optional<size_t> private_rule;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty() || line[0] == '#') {
      continue;
    }
    const auto fail = [&](const std::string& problem) {
      return absl::InvalidArgumentError(fmt::format("line {}: {}", number, problem));
    };
    std::istringstream cells(line);
    AttributeRule rule;
    cells >> rule.tag >> rule.basic;
    for (const std::optional<DeidentifyOption>& option : kColumns) {
      std::string cell;
      cells >> cell;
      if (cell != "K" && cell != "C" && cell != "-") {
        return fail(fmt::format("'{}' is none of K, C, -", cell));
      }
      if (option && cell != "-") {
        rule.options[*option] = cell[0];
      }
    }
    std::string more;
    if (!(cells >> rule.keyword) || cells >> more) {
      return fail("a line has 13 columns");
    }
    if (!IsBasic(rule.basic)) {
      return fail(fmt::format("'{}' is no action of the Basic Profile", rule.basic));
    }
    const size_t index = table.rules_.size();
    Pattern pattern;
    pattern.rule = index;
    if (rule.tag == kPrivate) {
      private_rule = index;
    } else if (!ParseTag(rule.tag, &pattern.mask, &pattern.tag)) {
      return fail(fmt::format("'{}' is no tag", rule.tag));
    } else if (pattern.mask != 0xffffffff) {
      table.patterns_.push_back(pattern);
    } else if (!table.exact_.emplace(pattern.tag, index).second) {
      return fail(fmt::format("{} is there twice", rule.tag));
    }
    table.rules_.push_back(std::move(rule));
  }
  if (!private_rule) {
    return absl::InvalidArgumentError("no rule for private attributes");
  }
  table.private_rule_ = *private_rule;
  return table;
}

absl::StatusOr<const ProfileTable*> ProfileTable::OfEdition(const std::string& edition) {
  static const auto& tables = *new std::map<std::string, absl::StatusOr<ProfileTable>>([] {
    std::map<std::string, absl::StatusOr<ProfileTable>> parsed;
    for (const auto& [name, text] : ProfileTableTexts()) {
      parsed.emplace(name, Parse(text));
    }
    return parsed;
  }());
  const auto found = tables.find(edition);
  if (found == tables.end()) {
    std::string known;
    for (const auto& [name, table] : tables) {
      known += (known.empty() ? "" : ", ") + name;
    }
    return absl::NotFoundError(fmt::format("no table of PS3.15 edition '{}'; there are: {}", edition, known));
  }
  CLOISTER_RETURN_IF_ERROR(found->second.status());
  return &*found->second;
}

const AttributeRule* ProfileTable::Find(uint16_t group, uint16_t element) const {
  if (group % 2 == 1) {
    return &rules_[private_rule_];
  }
  const uint32_t tag = uint32_t{group} << 16 | element;
  if (const auto found = exact_.find(tag); found != exact_.end()) {
    return &rules_[found->second];
  }
  for (const Pattern& pattern : patterns_) {
    if ((tag & pattern.mask) == pattern.tag) {
      return &rules_[pattern.rule];
    }
  }
  return nullptr;
}

}  // namespace cloister::site
