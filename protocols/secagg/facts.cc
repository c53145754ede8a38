// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/facts.h"

#include <fmt/format.h>

namespace cloister::secagg {

std::string FactScope(const SumParams& params) {
  return fmt::format("{}/{}/{}/", params.job.value(), params.round, params.kind);
}

}  // namespace cloister::secagg
