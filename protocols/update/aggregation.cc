// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/aggregation.h"

#include <array>

namespace cloister::update {
namespace {

struct Entry {
  const char* algorithm;
  AggregationRule rule;
};
constexpr std::array<Entry, 2> kRules = {{{"fedavg", FedAvg}, {"fedprox", FedAvg}}};

}  // namespace

absl::StatusOr<AggregationRule> FindAggregationRule(const std::string& algorithm) {
  std::string known;
  for (const Entry& entry : kRules) {
    if (algorithm == entry.algorithm) {
      return entry.rule;
    }
    known += std::string(known.empty() ? "" : ", ") + entry.algorithm;
  }
  return absl::UnimplementedError("no aggregation rule \"" + algorithm + "\"; there are: " + known);
}

std::vector<std::string> AggregationRules() {
  std::vector<std::string> names;
  for (const Entry& entry : kRules) {
    names.push_back(entry.algorithm);
  }
  return names;
}

}  // namespace cloister::update
