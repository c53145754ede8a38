#pragma once
// SPDX-License-Identifier: Apache-2.0
// How long to wait before trying again: exponential with jitter, so that a hundred sites do not come back in the
// same millisecond after the coordinator's restart.

#include <absl/time/time.h>

#include <random>

namespace cloister::transport {

struct BackoffOptions {
  absl::Duration first = absl::Milliseconds(100);
  absl::Duration most = absl::Seconds(20);
};

class Backoff {
 public:
  explicit Backoff(BackoffOptions options = {}, uint64_t seed = std::random_device{}());

  // Between half of and the whole of first * 2^n, n the calls since Reset(); never above `most`.
  absl::Duration Next();
  void Reset() { tries_ = 0; }
  int tries() const { return tries_; }

 private:
  BackoffOptions options_;
  std::mt19937_64 random_;
  int tries_ = 0;
};

}  // namespace cloister::transport
