// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/mcnemar.h"

#include <algorithm>

#include "eval/stats/normal.h"

namespace cloister::eval {

double McNemarExact(uint64_t only_first, uint64_t only_second) {
  const uint64_t fewer = std::min(only_first, only_second);
  const uint64_t more = std::max(only_first, only_second);
  if (fewer == more) {
    return 1;
  }
  // 2 P(X <= fewer) for X ~ Binomial(fewer + more, 1/2), which is an incomplete beta function.
  return std::min(1.0, 2 * IncompleteBeta(static_cast<double>(more), static_cast<double>(fewer) + 1, 0.5));
}

}  // namespace cloister::eval
