// SPDX-License-Identifier: Apache-2.0
#include "site_agent/ingest/functional_groups.h"

#include <cmath>

namespace cloister::site {

DcmItem* FirstItem(DcmItem& item, const DcmTagKey& sequence) {
  DcmItem* found = nullptr;
  return item.findAndGetSequenceItem(sequence, found, 0).good() ? found : nullptr;
}

DcmItem& MacroHolder(DcmDataset& data, int frame, const DcmTagKey& macro) {
  DcmItem* group = nullptr;
  if (data.findAndGetSequenceItem(DCM_PerFrameFunctionalGroupsSequence, group, frame).good() && group != nullptr) {
    if (DcmItem* found = FirstItem(*group, macro)) {
      return *found;
    }
  }
  if (DcmItem* shared = FirstItem(data, DCM_SharedFunctionalGroupsSequence)) {
    if (DcmItem* found = FirstItem(*shared, macro)) {
      return *found;
    }
  }
  return data;
}

bool FiniteNumber(DcmItem& item, const DcmTagKey& tag, double* value) {
  Float64 number = 0;
  if (item.findAndGetFloat64(tag, number).bad() || !std::isfinite(number)) {
    return false;
  }
  *value = number;
  return true;
}

std::vector<double> FiniteNumbers(DcmItem& item, const DcmTagKey& tag) {
  DcmElement* element = nullptr;
  if (item.findAndGetElement(tag, element).bad()) {
    return {};
  }
  std::vector<double> values;
  for (unsigned long i = 0; i < element->getVM(); ++i) {
    Float64 number = 0;
    if (element->getFloat64(number, i).bad() || !std::isfinite(number)) {
      return {};
    }
    values.push_back(number);
  }
  return values;
}

}  // namespace cloister::site
