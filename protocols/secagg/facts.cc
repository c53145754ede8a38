// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace cloister::secagg {

std::string FactScope(const SumParams& params) {
  return fmt::format("{}/{}/{}/", params.job.value(), params.round, params.kind);
}

std::optional<uint32_t> NewestAttempt(const SumParams& params, const Facts& facts) {
  const std::string scope = FactScope(params);
  std::optional<uint32_t> newest;
  for (const auto& [key, value] : facts) {
    if (key.compare(0, scope.size(), scope) != 0) continue;
    uint32_t attempt = 0;
    const std::string_view rest = std::string_view(key).substr(scope.size());
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), attempt);
    const bool is_advert = error == std::errc() && rest.substr(static_cast<size_t>(end - rest.data())) == "/advert";
    if (is_advert) newest = std::max(newest.value_or(0), attempt);
  }
  return newest;
}

}  // namespace cloister::secagg
