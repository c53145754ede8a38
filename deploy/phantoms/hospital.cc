// SPDX-License-Identifier: Apache-2.0
// The invented hospitals and their invented patients.

#include "deploy/phantoms/hospital.h"

#include <array>

namespace cloister::phantoms {
namespace {

struct Word {
  const char* latin;
  const char* chinese;
};
constexpr std::array<Word, 16> kFamilies = {{{"Wang", "王"},
                                             {"Li", "李"},
                                             {"Zhang", "张"},
                                             {"Liu", "刘"},
                                             {"Chen", "陈"},
                                             {"Yang", "杨"},
                                             {"Huang", "黄"},
                                             {"Zhao", "赵"},
                                             {"Wu", "吴"},
                                             {"Zhou", "周"},
                                             {"Xu", "徐"},
                                             {"Sun", "孙"},
                                             {"Ma", "马"},
                                             {"Zhu", "朱"},
                                             {"Hu", "胡"},
                                             {"Guo", "郭"}}};
constexpr std::array<Word, 12> kGiven = {{{"Wei", "伟"},
                                          {"Fang", "芳"},
                                          {"Na", "娜"},
                                          {"XiuYing", "秀英"},
                                          {"Min", "敏"},
                                          {"Jing", "静"},
                                          {"Li", "丽"},
                                          {"Qiang", "强"},
                                          {"Lei", "磊"},
                                          {"Jun", "军"},
                                          {"Yang", "洋"},
                                          {"Yong", "勇"}}};
constexpr std::array<const char*, 12> kLatinFamilies = {"Keller", "Müller", "Schröder", "Bauer",  "Nováková", "Rossi",
                                                        "Silva",  "Jansen", "Dupré",    "Hansen", "Kowalska", "Weiß"};
constexpr std::array<const char*, 8> kWomen = {"Anna", "Marie", "Sofia", "Clara", "Ines", "Lotte", "Julie", "Eva"};
constexpr std::array<const char*, 8> kMen = {"Jonas", "Paul", "Luca", "Jörg", "Peter", "Emil", "Hugo", "Karl"};

}  // namespace

const std::vector<Hospital>& BuiltInHospitals() {
  static const std::vector<Hospital> hospitals = [] {
    Hospital north{"north", "North Teaching Hospital", "DX", "Northlight", "DX-1", "ISO_IR 192", true};
    north.rows = 224;
    north.columns = 224;
    north.spacing_mm = 1.6;
    north.bits_stored = 12;
    north.noise = 0.015;
    north.prevalence = 0.5;

    Hospital south{"south", "South County Hospital", "CR", "Southern Plate", "CR 35", "GB18030", true};
    south.rows = 208;
    south.columns = 176;
    south.spacing_mm = 1.9;
    south.bits_stored = 10;
    south.monochrome1 = true;
    south.gamma = 1.25;
    south.exposure = 0.75;
    south.noise = 0.035;
    south.blur_pixels = 0.9;
    south.prevalence = 0.4;
    south.anteroposterior = 0.5;

    Hospital east{"east", "Klinikum Ost", "DX", "Eastern Imaging", "Panel 16", "ISO_IR 100", false};
    east.rows = 256;
    east.columns = 256;
    east.spacing_mm = 1.4;
    east.bits_stored = 16;
    east.gamma = 0.85;
    east.noise = 0.02;
    east.collimated = true;
    east.prevalence = 0.6;

    Hospital west{"west", "West Coast Clinic", "CR", "Westray", "Cassette", "ISO_IR 192", false};
    west.rows = 192;
    west.columns = 224;
    west.spacing_mm = 1.8;
    west.bits_stored = 12;
    west.gamma = 1.1;
    west.exposure = 0.9;
    west.noise = 0.028;
    west.blur_pixels = 0.8;
    west.collimated = true;
    west.prevalence = 0.45;
    west.anteroposterior = 0.35;
    return std::vector<Hospital>{north, south, east, west};
  }();
  return hospitals;
}

const Hospital* FindHospital(const std::string& name) {
  for (const Hospital& hospital : BuiltInHospitals()) {
    if (hospital.name == name) {
      return &hospital;
    }
  }
  return nullptr;
}

std::string InventName(bool chinese, const std::string& sex, uint64_t index) {
  if (chinese) {
    const Word& family = kFamilies[index % kFamilies.size()];
    const Word& given = kGiven[index / kFamilies.size() % kGiven.size()];
    return std::string(family.latin) + "^" + given.latin + "=" + family.chinese + "^" + given.chinese;
  }
  const auto& given = sex == "M" ? kMen : kWomen;
  return std::string(kLatinFamilies[index % kLatinFamilies.size()]) + "^" +
         given[index / kLatinFamilies.size() % given.size()];
}

}  // namespace cloister::phantoms
