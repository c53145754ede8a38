#pragma once
// SPDX-License-Identifier: Apache-2.0
// Time as an argument: drivers hold a Clock, pure cores receive absl::Time.

#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <mutex>
#include <string>

namespace cloister {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

// For tests and simulations: moves only when told to. Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time now) : now_(now) {}
  absl::Time Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration by) {
    std::lock_guard lock(mutex_);
    now_ += by;
  }

 private:
  mutable std::mutex mutex_;
  absl::Time now_;
};

// RFC 3339 in UTC, to the millisecond: 2026-03-01T08:15:30.125Z.
inline std::string FormatUtc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

}  // namespace cloister
