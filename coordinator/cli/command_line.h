#pragma once
// SPDX-License-Identifier: Apache-2.0
// The program `cloister`: what the operator of a consortium types. The commands themselves are in the files beside this
// one.

#include <string>
#include <vector>

#include "coordinator/cli/terminal.h"
#include "protocols/base/clock.h"

namespace cloister::coordinator {

// `arguments` without the program's name. The exit code (terminal.h).
int RunCommandLine(std::vector<std::string> arguments, const Clock& clock, Terminal terminal);

}  // namespace cloister::coordinator
