// SPDX-License-Identifier: Apache-2.0
#include "site_agent/deidentify/element_values.h"

#include <algorithm>

namespace cloister::site {
namespace {

// A value of the right kind that says nothing; "" for value representations that hold numbers or bytes.
std::string Dummy(DcmEVR vr) {
  switch (vr) {
    case EVR_DA:
      return "19000101";
    case EVR_TM:
      return "000000";
    case EVR_DT:
      return "19000101000000";
    case EVR_AS:
      return "000D";
    case EVR_DS:
    case EVR_IS:
      return "0";
    case EVR_UR:
      return "urn:anonymized";
    default:
      return "ANONYMIZED";
  }
}

// The first value becomes zero, the others go.
void PutZero(DcmElement& element) {
  switch (element.getVR()) {
    case EVR_US:
    case EVR_OW:
    case EVR_OB:
    case EVR_UN: {
      const Uint8 zeros[2] = {0, 0};
      const Uint16 zero = 0;
      if (element.getVR() == EVR_US || element.getVR() == EVR_OW) {
        element.putUint16Array(&zero, 1);
      } else {
        element.putUint8Array(zeros, 2);
      }
      break;
    }
    case EVR_SS: {
      const Sint16 zero = 0;
      element.putSint16Array(&zero, 1);
      break;
    }
    case EVR_UL: {
      const Uint32 zero = 0;
      element.putUint32Array(&zero, 1);
      break;
    }
    case EVR_SL: {
      const Sint32 zero = 0;
      element.putSint32Array(&zero, 1);
      break;
    }
    case EVR_FL: {
      const Float32 zero = 0;
      element.putFloat32Array(&zero, 1);
      break;
    }
    case EVR_FD: {
      const Float64 zero = 0;
      element.putFloat64Array(&zero, 1);
      break;
    }
    default:
      element.clear();
  }
}

}  // namespace

std::string ValueOf(DcmElement& element) {
  OFString value;
  element.getOFStringArray(value);
  std::string text(value.c_str(), value.size());
  text.erase(std::min(text.find('\0'), text.size()));
  text.erase(text.find_last_not_of(' ') + 1);
  return text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
}

std::vector<std::string> SplitValues(const std::string& text) {
  std::vector<std::string> values(1);
  for (const char c : text) {
    c == '\\' ? static_cast<void>(values.emplace_back()) : values.back().push_back(c);
  }
  return values;
}

void PutDummy(DcmElement& element) {
  if (element.putString(Dummy(element.getVR()).c_str()).bad()) {
    PutZero(element);
  }
}

}  // namespace cloister::site
