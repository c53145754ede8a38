// SPDX-License-Identifier: Apache-2.0
#include "site_agent/deidentify/clean_text.h"

#include <algorithm>
#include <cctype>

namespace cloister::site {
namespace {

constexpr const char kWords[] =
    // anatomy
    "abdomen abdominal ankle aorta arm bladder bone brain breast breasts cardiac cervical chest clavicle colon "
    "elbow eye eyes face femur finger fingers foot forearm fundus hand hands head heart hip hips humerus joint "
    "kidney kidneys knee knees leg liver lower lumbar lung lungs macula neck orbit pancreas pelvis prostate renal "
    "retina rib ribs sacrum shoulder sinus skull spine spleen sternum stomach thoracic thorax thyroid tibia toe "
    "toes upper uterus wrist "
    // sides and views
    "ap axial bilateral cc coronal decubitus erect frontal lat lateral left lao ll mlo oblique od os ou pa prone "
    "rao right rl sagittal supine view views "
    // modality and technique
    "adc angio angiography arterial bolus bw cect contrast cr ct cta delayed diffusion digital dose dsa dual dwi "
    "dx dynamic dynamics echo energy enhanced exam expiration fast fat flair flash gradient helical high hrct "
    "image inspiration iv kernel ldct low mip mono mpr mr mra mri native nc non oct oral phase plain portal post "
    "pre radiograph recon resolution routine sat scan scout screening sequence series sharp slice smooth soft "
    "spin spiral standard stir study suppressed t1 t1w t2 t2w thick thin tissue tomography topogram tse "
    "ultrasound unenhanced us venous volume w window with without wo x-ray xray ";

constexpr const char* kUnits[] = {"mm", "cm", "kv", "kvp", "mas", "ma", "s", "ms", "deg", "min", "sec", "%", "t"};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// ASCII letters, digits, point, hyphen, percent and every byte of a character outside ASCII.
bool IsWordByte(unsigned char c) {
  return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '%' || c >= 0x80;
}

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> tokens;
  std::string token;
  for (const char c : text + " ") {
    if (IsWordByte(static_cast<unsigned char>(c))) {
      token += c;
    } else if (!token.empty()) {
      tokens.push_back(std::move(token));
      token.clear();
    }
  }
  return tokens;
}

// Up to three digits and two decimals: no date, telephone or record number. The rest of the token in `unit`.
bool IsSmallNumber(const std::string& token, std::string* unit) {
  const size_t whole = std::min(token.find_first_not_of("0123456789"), token.size());
  size_t end = whole;
  if (end < token.size() && token[end] == '.') {
    end = std::min(token.find_first_not_of("0123456789", end + 1), token.size());
  }
  *unit = Lower(token.substr(end));
  return whole >= 1 && whole <= 3 && end - whole <= 3;
}

bool IsUnit(const std::string& token) {
  return std::find(std::begin(kUnits), std::end(kUnits), token) != std::end(kUnits);
}

}  // namespace

DescriptorWords::DescriptorWords(const std::vector<std::string>& more) {
  for (std::string& word : Split(kWords)) {
    words_.insert(std::move(word));
  }
  for (const std::string& word : more) {
    words_.insert(Lower(word));
  }
}

std::string DescriptorWords::Clean(const std::string& text, const std::set<std::string>& names) const {
  std::string kept;
  const auto keep = [&](const std::string& token) { kept += (kept.empty() ? "" : " ") + token; };
  const std::vector<std::string> tokens = Split(text);
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string unit;
    if (names.count(Lower(tokens[i])) == 1) {
      continue;
    }
    if (words_.count(Lower(tokens[i])) == 1) {
      keep(tokens[i]);
    } else if (!IsSmallNumber(tokens[i], &unit)) {
      continue;
    } else if (IsUnit(unit)) {
      keep(tokens[i]);
    } else if (unit.empty() && i + 1 < tokens.size() && IsUnit(Lower(tokens[i + 1]))) {
      keep(tokens[i] + " " + tokens[i + 1]);
      ++i;
    }
  }
  return kept;
}

std::vector<std::string> NameParts(const std::string& name) {
  std::vector<std::string> parts = Split(name);
  std::transform(parts.begin(), parts.end(), parts.begin(), Lower);
  return parts;
}

}  // namespace cloister::site
