#pragma once
// SPDX-License-Identifier: Apache-2.0
// How numbers are written for people: no more digits than the patients behind them allow. Below 1,000 patients a share
// has no decimals and an AUC two; from there on one and three. Interval ends are rounded outwards, so that no interval
// looks narrower than it is.

#include <cstdint>
#include <string>
#include <string_view>

#include "eval/metrics/estimate.h"

namespace cloister::eval {

enum class NumberStyle {
  kPercent,  // 93%
  kPer100,   // 93, of 100
  kPlain,    // 0.93
};

// The style that a metric is written in: shares as percent, AUC and the rest plain.
NumberStyle StyleOf(std::string_view metric);

std::string FormatPoint(double value, NumberStyle style, uint64_t n);
std::string FormatLower(double value, NumberStyle style, uint64_t n);
std::string FormatUpper(double value, NumberStyle style, uint64_t n);

// A lower bound as it stands beside the value a rule asks for: rounded down, with as many more digits as it takes to
// show on which side it is. `strict`: the rule is "above", else "at least".
std::string FormatBeside(double bound, double rule, bool strict, NumberStyle style, uint64_t n);

// With its sign: +0.03, −0.01, 0.00.
std::string WithSign(const std::string& number);

// As short as it can be said: 0.7 gives 0.70 and 70%; 0.875 gives 0.875 and 87.5%. For rules and thresholds, which are
// exact.
std::string FormatExact(double value, NumberStyle style);

// A number of studies a day: one decimal below 10.
std::string FormatDaily(double value);

// 2026-03-01T08:15:30Z as 2026-03-01 08:15 UTC; anything else as it is.
std::string FormatTime(const std::string& utc);

}  // namespace cloister::eval
