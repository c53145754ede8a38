#pragma once
// SPDX-License-Identifier: Apache-2.0
// Four invented hospitals whose films differ the way those of real ones do: detector, exposure, noise, bits, polarity,
// matrix, prevalence, character set.

#include <cstdint>
#include <string>
#include <vector>

namespace cloister::phantoms {

struct Hospital {
  std::string name;
  std::string institution;
  std::string modality;  // DX or CR
  std::string manufacturer;
  std::string model;
  std::string specific_character_set;
  bool chinese_names = false;
  int rows = 0;
  int columns = 0;
  double spacing_mm = 1;
  int bits_stored = 12;
  bool monochrome1 = false;
  double gamma = 1;     // of the film's grey curve
  double exposure = 1;  // fraction of the value range that is used
  double noise = 0.02;  // standard deviation, of the value range
  double blur_pixels = 0.6;
  bool collimated = false;  // a dark border with straight edges
  double prevalence = 0.5;
  double anteroposterior = 0.2;  // share of AP films, with a larger heart
};

const std::vector<Hospital>& BuiltInHospitals();
// Null when there is none of that name.
const Hospital* FindHospital(const std::string& name);

// An invented name in UTF-8: "Zhang^Wei=张^伟" or "Keller^Anna". Number `index` of a list that never ends.
std::string InventName(bool chinese, const std::string& sex, uint64_t index);

}  // namespace cloister::phantoms
