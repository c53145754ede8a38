#pragma once
// SPDX-License-Identifier: Apache-2.0
// A number about predictions, or the reason why there is none. "Not estimable" is a value here, never 0.5 and never
// NaN.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace cloister::eval {

enum class Reason {
  kNoCases,           // nothing was analysed
  kOneClass,          // only patients with, or only patients without, the target condition
  kNoPositives,       // no patient with the target condition
  kNoNegatives,       // no patient without it
  kNoCalls,           // PPV or NPV: the model never gave that answer
  kTooFewPatients,    // fewer than two patients in a class: no variance
  kTargetNotReached,  // no threshold meets the target
  kNoBaseline,        // no local-only model to compare with
  kNoVariation,       // everything has the same value, so that nothing can be explained by it
  kSeparated,         // a threshold divides the classes without error: no finite slope fits
  kTooFewSites,       // fewer than five sites: no number over all of them
  kNotMeasured,       // the site sent no such number
};

// The word in JSON: "one_class".
std::string_view ReasonCode(Reason reason);
std::optional<Reason> ParseReason(std::string_view code);

struct NotEstimable {
  Reason reason;
};

// A T, or why there is none.
template <typename T>
class Estimable {
 public:
  Estimable(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Estimable(NotEstimable why) : state_(why) {}          // NOLINT(google-explicit-constructor)
  Estimable(Reason why) : state_(NotEstimable{why}) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return std::holds_alternative<T>(state_); }
  const T& operator*() const { return std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }
  Reason reason() const { return std::get<NotEstimable>(state_).reason; }

 private:
  std::variant<T, NotEstimable> state_;
};

// A point with its confidence interval.
struct Estimate {
  double value = 0;
  double lower = 0;
  double upper = 0;
  double level = 0.95;  // two-sided; `lower` alone is the one-sided bound at (1 + level) / 2
  uint64_t n = 0;       // patients the number is about
  std::string method;   // "wilson", "delong", "bootstrap_percentile", ...
};

}  // namespace cloister::eval
