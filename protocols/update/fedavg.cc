// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "protocols/update/aggregation.h"

namespace cloister::update {

absl::Status FedAvg(absl::Span<const float> global, absl::Span<float> mean) {
  if (global.size() != mean.size()) {
    return absl::InvalidArgumentError(
        fmt::format("an update of {} values for a model of {}", mean.size(), global.size()));
  }
  for (size_t i = 0; i < mean.size(); ++i) {
    mean[i] = static_cast<float>(static_cast<double>(global[i]) + static_cast<double>(mean[i]));
    if (!std::isfinite(mean[i])) {
      return absl::DataLossError(fmt::format("parameter {} of the new model is not finite", i));
    }
  }
  return absl::OkStatus();
}

}  // namespace cloister::update
