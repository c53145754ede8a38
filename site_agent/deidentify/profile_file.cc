// SPDX-License-Identifier: Apache-2.0
#include "site_agent/deidentify/profile_file.h"

#include <sstream>

#include "protocols/base/strict_yaml.h"

namespace cloister::site {
namespace {

constexpr int kMostPixels = 65535;

bool ParseRectangle(const std::string& text, PixelRectangle* rectangle) {
  std::istringstream in(text);
  std::string more;
  return in >> rectangle->left >> rectangle->top >> rectangle->width >> rectangle->height && !(in >> more) &&
         rectangle->left >= 0 && rectangle->top >= 0 && rectangle->width > 0 && rectangle->height > 0 &&
         rectangle->left + rectangle->width <= kMostPixels && rectangle->top + rectangle->height <= kMostPixels;
}

BurnedInRule ReadRule(StrictYaml& map) {
  BurnedInRule rule;
  rule.modality = map.Text("modality", "");
  rule.manufacturer = map.Text("manufacturer", "");
  rule.manufacturer_model_name = map.Text("model", "");
  rule.rows = static_cast<int>(map.Int("rows", 0, kMostPixels, 0));
  rule.columns = static_cast<int>(map.Int("columns", 0, kMostPixels, 0));
  for (const std::string& text : map.TextList("regions", std::vector<std::string>{})) {
    PixelRectangle rectangle;
    if (!ParseRectangle(text, &rectangle)) {
      map.Fail("regions", "a region is written \"left top width height\", in pixels");
    }
    rule.regions.push_back(rectangle);
  }
  if (rule.modality.empty() && rule.manufacturer.empty() && rule.manufacturer_model_name.empty()) {
    map.Fail("modality", "a rule names a modality, a manufacturer or a model");
  }
  return rule;
}

}  // namespace

absl::StatusOr<DeidentifyProfile> ParseDeidentifyProfile(const std::string& text, const std::string& file) {
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml root, StrictYaml::Parse(text, file));
  DeidentifyProfile profile;
  profile.edition = root.Text("edition", profile.edition);
  if (const auto table = ProfileTable::OfEdition(profile.edition); !table.ok()) {
    root.Fail("edition", std::string(table.status().message()));
  }
  std::string allowed;
  for (const DeidentifyOption option : kDeidentifyOptions) {
    allowed += (allowed.empty() ? "" : ", ") + std::string(DeidentifyOptionName(option));
  }
  for (const std::string& name : root.TextList("options", std::vector<std::string>{})) {
    bool known = false;
    for (const DeidentifyOption option : kDeidentifyOptions) {
      if (DeidentifyOptionName(option) == name) {
        profile.options.insert(option);
        known = true;
      }
    }
    if (!known) {
      root.Fail("options", "unknown option '" + name + "'; allowed: " + allowed);
    }
  }
  profile.descriptor_words = root.TextList("descriptor_words", std::vector<std::string>{});
  for (StrictYaml& map : root.MapList("burned_in", false)) {
    profile.burned_in.push_back(ReadRule(map));
  }
  CLOISTER_RETURN_IF_ERROR(root.Finish());
  return profile;
}

}  // namespace cloister::site
