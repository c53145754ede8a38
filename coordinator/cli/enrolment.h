#pragma once
// SPDX-License-Identifier: Apache-2.0
// `cloister enroll`: the keys and requests of an operator or a coordinator, and the certificates that come back. A site
// has cloister-site enroll, which does the same.

#include <filesystem>
#include <string>

#include "coordinator/cli/terminal.h"
#include "protocols/base/clock.h"

namespace cloister::coordinator {

struct Enroll {
  std::filesystem::path folder;
  std::string id;
  std::string role = "operator";  // or coordinator
  std::string coordinator;        // host:port: writes operator.yaml too, unless there is one
  std::filesystem::path install;  // the file that cloister ca approve wrote
};
absl::Status RunEnroll(const Enroll& command, const Clock& clock, Terminal terminal);

}  // namespace cloister::coordinator
