#pragma once
// SPDX-License-Identifier: Apache-2.0
// A status' message as std::string: Debian's absl has its own string_view, which {fmt} does not know.

#include <string>

#include "protocols/base/status.h"

namespace cloister::site {

inline std::string TextOf(const absl::Status& status) {
  return std::string(status.message());
}

}  // namespace cloister::site
