#pragma once
// SPDX-License-Identifier: Apache-2.0
// The small-cell rule: counts of fewer than k patients do not leave a hospital, nor does anything they could be
// recomputed from.

#include <variant>

#include "eval/metrics/estimate.h"
#include "protocols/base/status.h"

namespace cloister::eval {

struct Suppressed {};

// A T, or why there is none, or nothing said at all.
template <typename T>
class Disclosed {
 public:
  Disclosed(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Disclosed(NotEstimable why) : state_(why) {}          // NOLINT(google-explicit-constructor)
  Disclosed(Reason why) : state_(NotEstimable{why}) {}  // NOLINT(google-explicit-constructor)
  Disclosed(Suppressed nothing) : state_(nothing) {}    // NOLINT(google-explicit-constructor)
  Disclosed(Estimable<T> from) : Disclosed(from.ok() ? Disclosed(*from) : Disclosed(from.reason())) {}  // NOLINT

  bool ok() const { return std::holds_alternative<T>(state_); }
  bool suppressed() const { return std::holds_alternative<Suppressed>(state_); }
  bool not_estimable() const { return std::holds_alternative<NotEstimable>(state_); }
  const T& operator*() const { return std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }
  Reason reason() const { return std::get<NotEstimable>(state_).reason; }

 private:
  std::variant<T, NotEstimable, Suppressed> state_;
};

// The smallest number of patients a disclosed cell may have.
class MinimumCell {
 public:
  static constexpr uint64_t kDefault = 10;

  MinimumCell() = default;
  // INVALID_ARGUMENT: below kDefault; it can only be raised.
  static absl::StatusOr<MinimumCell> Create(uint64_t k);

  uint64_t k() const { return k_; }
  bool Allows(uint64_t patients) const { return patients >= k_; }

 private:
  uint64_t k_ = kDefault;
};

}  // namespace cloister::eval
