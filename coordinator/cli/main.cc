// SPDX-License-Identifier: Apache-2.0
// The program `cloister`.
#include <iostream>

#include "coordinator/cli/command_line.h"

int main(int count, char** values) {
  const cloister::SystemClock clock;
  return cloister::coordinator::RunCommandLine({values + 1, values + count}, clock, {std::cin, std::cout, std::cerr});
}
