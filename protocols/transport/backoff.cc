// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/backoff.h"

#include <algorithm>

namespace cloister::transport {

Backoff::Backoff(BackoffOptions options, uint64_t seed) : options_(options), random_(seed) {}

absl::Duration Backoff::Next() {
  absl::Duration whole = options_.first;
  for (int i = 0; i < tries_ && whole < options_.most; ++i) {
    whole *= 2;
  }
  ++tries_;
  whole = std::min(whole, options_.most);
  return whole * std::uniform_real_distribution<double>(0.5, 1.0)(random_);
}

}  // namespace cloister::transport
