#pragma once
// SPDX-License-Identifier: Apache-2.0
// Running the program `cloister` inside a test.

#include <sstream>
#include <string>
#include <vector>

#include "coordinator/cli/command_line.h"

namespace cloister::coordinator {

struct CliResult {
  int code = 0;
  std::string out;
  std::string err;
};

inline CliResult RunCli(const std::vector<std::string>& arguments, const std::string& input = "") {
  const SystemClock clock;
  std::istringstream in(input);
  std::ostringstream out, err;
  const int code = RunCommandLine(arguments, clock, {in, out, err});
  return {code, out.str(), err.str()};
}

}  // namespace cloister::coordinator
