// SPDX-License-Identifier: Apache-2.0
// The program cloister-site: the agent of a hospital, and the commands of the people there.
#include <unistd.h>

#include <iostream>

#include "protocols/base/log.h"
#include "site_agent/cli/command.h"

int main(int argc, char** argv) {
  cloister::SetUpLogging("cloister-site", "warning");
  const cloister::SystemClock clock;
  const bool interactive = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
  return cloister::site::RunCommandLine({argv + 1, argv + argc},
                                        {&std::cin, &std::cout, &std::cerr, interactive, &clock});
}
