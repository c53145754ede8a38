#pragma once
// SPDX-License-Identifier: Apache-2.0
// cloister-bench eval: DeLong and bootstraps of many cases, beside scikit-learn and pROC in the same run where Debian's
// packages are installed.

#include <cstdint>

namespace cloister::bench {

struct EvalOptions {
  uint32_t cases = 1'000'000;
  int replicates = 2000;
  int threads = 1;
  int other_replicates = 3;  // that scikit-learn and pROC are given; their time is scaled to `replicates`
};
// 0; 1: a file could not be written.
int RunEvalBench(const EvalOptions& options);

}  // namespace cloister::bench
