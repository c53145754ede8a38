// SPDX-License-Identifier: Apache-2.0
// The program cloister-eval.
#include <iostream>

#include "eval/cli/command.h"

int main(int argc, char** argv) {
  return cloister::eval::RunEval({argv + 1, argv + argc}, std::cout, std::cerr);
}
