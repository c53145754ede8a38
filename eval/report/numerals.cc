// SPDX-License-Identifier: Apache-2.0
#include "eval/report/numerals.h"

#include <fmt/core.h>

#include <cmath>

namespace cloister::eval {
namespace {

constexpr uint64_t kManyPatients = 1000;
constexpr double kRoundingNoise = 1e-9;  // so that 0.29 * 100 is 29, not 28.999...

enum class Rounding { kNearest, kDown, kUp };

int Decimals(NumberStyle style, uint64_t n) {
  return (style == NumberStyle::kPlain ? 2 : 0) + (n >= kManyPatients ? 1 : 0);
}

double Round(double value, NumberStyle style, int decimals, Rounding rounding) {
  const double unit = (style == NumberStyle::kPlain ? 1 : 100) * std::pow(10, decimals);
  switch (rounding) {
    case Rounding::kDown:
      return std::floor(value * unit + kRoundingNoise) / unit;
    case Rounding::kUp:
      return std::ceil(value * unit - kRoundingNoise) / unit;
    case Rounding::kNearest:
      break;
  }
  return std::round(value * unit + kRoundingNoise) / unit;
}

std::string Write(double rounded, NumberStyle style, int decimals) {
  const double shown = std::abs(rounded) * (style == NumberStyle::kPlain ? 1 : 100);
  return (rounded < 0 ? "−" : "") + fmt::format("{:.{}f}", shown, decimals) +
         (style == NumberStyle::kPercent ? "%" : "");
}

std::string Format(double value, NumberStyle style, uint64_t n, Rounding rounding) {
  const int decimals = Decimals(style, n);
  return Write(Round(value, style, decimals, rounding), style, decimals);
}

}  // namespace

NumberStyle StyleOf(std::string_view metric) {
  for (std::string_view share :
       {"sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "within_", "sensitivity_at_"}) {
    if (metric == share || (share.back() == '_' && metric.substr(0, share.size()) == share)) {
      return NumberStyle::kPercent;
    }
  }
  return NumberStyle::kPlain;
}

std::string FormatPoint(double value, NumberStyle style, uint64_t n) {
  return Format(value, style, n, Rounding::kNearest);
}

std::string FormatLower(double value, NumberStyle style, uint64_t n) {
  return Format(value, style, n, Rounding::kDown);
}

std::string FormatUpper(double value, NumberStyle style, uint64_t n) {
  return Format(value, style, n, Rounding::kUp);
}

std::string FormatBeside(double bound, double rule, bool strict, NumberStyle style, uint64_t n) {
  auto holds = [&](double value, double noise) { return strict ? value > rule + noise : value >= rule - noise; };
  int decimals = Decimals(style, n);
  double shown = Round(bound, style, decimals, Rounding::kDown);
  while (decimals < 6 && holds(shown, kRoundingNoise) != holds(bound, 0)) {
    shown = Round(bound, style, ++decimals, Rounding::kDown);
  }
  return Write(shown, style, decimals);
}

std::string WithSign(const std::string& number) {
  const bool zero = number.find_first_of("123456789") == std::string::npos;
  return (zero || number.compare(0, 3, "−") == 0) ? number : "+" + number;
}

std::string FormatExact(double value, NumberStyle style) {
  const bool plain = style == NumberStyle::kPlain;
  std::string digits = fmt::format("{:.{}f}", plain ? value : value * 100, plain ? 4 : 2);
  const size_t keep = digits.find('.') + (plain ? 3 : 0);
  while (digits.size() > keep && (digits.back() == '0' || digits.back() == '.')) {
    const bool point = digits.back() == '.';
    digits.pop_back();
    if (point) {
      break;
    }
  }
  return digits + (style == NumberStyle::kPercent ? "%" : "");
}

std::string FormatDaily(double value) {
  return fmt::format("{:.{}f}", value, value < 9.95 ? 1 : 0);
}

std::string FormatTime(const std::string& utc) {
  const bool known = utc.size() >= 20 && utc[4] == '-' && utc[10] == 'T' && utc.back() == 'Z';
  return known ? utc.substr(0, 10) + " " + utc.substr(11, 5) + " UTC" : utc;
}

}  // namespace cloister::eval
