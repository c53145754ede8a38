#pragma once
// SPDX-License-Identifier: Apache-2.0
// The program cloister-eval: statistics and a report for anyone's predictions. No network, no federation.

#include <iosfwd>
#include <string>
#include <vector>

namespace cloister::eval {

// 0: done. 1: the input or the disk is at fault, said on `errors`. 2: wrong usage. Progress goes to `errors`.
int RunEval(const std::vector<std::string>& arguments, std::ostream& output, std::ostream& errors);

}  // namespace cloister::eval
