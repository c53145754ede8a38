// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/status.h"

namespace cloister {

absl::Status Annotate(const absl::Status& status, const std::string& context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), context + ": " + std::string(status.message()));
}

}  // namespace cloister
