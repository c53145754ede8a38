// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/ids.h"

#include <fmt/format.h>

#include <algorithm>

namespace cloister {

absl::Status CheckIdentifier(std::string_view text, std::string_view what) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool valid =
      !text.empty() && text.size() <= 63 && alphanumeric(text.front()) &&
      std::all_of(text.begin(), text.end(), [&](char c) { return alphanumeric(c) || c == '-' || c == '_'; });
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("a {} is 1 to 63 characters of a-z, 0-9, '-', '_', starting with a letter or digit", what));
}

}  // namespace cloister
