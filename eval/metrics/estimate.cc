// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/estimate.h"

#include <array>

namespace cloister::eval {
namespace {

constexpr std::array<std::pair<Reason, std::string_view>, 12> kCodes = {{
    {Reason::kNoCases, "no_cases"},
    {Reason::kOneClass, "one_class"},
    {Reason::kNoPositives, "no_positives"},
    {Reason::kNoNegatives, "no_negatives"},
    {Reason::kNoCalls, "no_calls"},
    {Reason::kTooFewPatients, "too_few_patients"},
    {Reason::kTargetNotReached, "target_not_reached"},
    {Reason::kNoBaseline, "no_baseline"},
    {Reason::kNoVariation, "no_variation"},
    {Reason::kSeparated, "separated"},
    {Reason::kTooFewSites, "too_few_sites"},
    {Reason::kNotMeasured, "not_measured"},
}};

}  // namespace

std::string_view ReasonCode(Reason reason) {
  for (const auto& [value, code] : kCodes) {
    if (value == reason) {
      return code;
    }
  }
  return "unknown";
}

std::optional<Reason> ParseReason(std::string_view code) {
  for (const auto& [value, known] : kCodes) {
    if (known == code) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace cloister::eval
