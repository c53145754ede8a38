#pragma once
// SPDX-License-Identifier: Apache-2.0
// The one way a document of this folder becomes text: keys sorted, no spaces, shortest numbers that read back the same.

#include <nlohmann/json.hpp>
#include <string>

namespace cloister::plan {

inline std::string JsonText(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace cloister::plan
