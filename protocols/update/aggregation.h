#pragma once
// SPDX-License-Identifier: Apache-2.0
// Aggregation rules: how the next global model follows from the last one and the weighted mean of the survivors'
// updates. One file a rule, one line in the table of aggregation.cc. Deterministic: any party can compute the same
// bytes from the same sum.

#include <absl/types/span.h>

#include <string>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::update {

// `global` and `mean` are float32 [D]; `mean` becomes the next global model in place. DATA_LOSS: a value that is not
// finite.
using AggregationRule = absl::Status (*)(absl::Span<const float> global, absl::Span<float> mean);

// By algorithm.name. UNIMPLEMENTED: no such rule; names those there are.
absl::StatusOr<AggregationRule> FindAggregationRule(const std::string& algorithm);
std::vector<std::string> AggregationRules();

// fedavg.cc: next = global + mean. McMahan et al. 2017; for FedProx (Li et al. 2020) the server does the same.
absl::Status FedAvg(absl::Span<const float> global, absl::Span<float> mean);

}  // namespace cloister::update
