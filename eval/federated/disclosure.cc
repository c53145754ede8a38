// SPDX-License-Identifier: Apache-2.0
#include "eval/federated/disclosure.h"

#include <fmt/core.h>

namespace cloister::eval {

absl::StatusOr<MinimumCell> MinimumCell::Create(uint64_t k) {
  if (k < kDefault) {
    return absl::InvalidArgumentError(
        fmt::format("the minimum cell is {}; it can only be raised above {}, never lowered", k, kDefault));
  }
  MinimumCell cell;
  cell.k_ = k;
  return cell;
}

}  // namespace cloister::eval
