#pragma once
// SPDX-License-Identifier: Apache-2.0
// How the next global model follows from the last one and the totals of a training round: the same bytes at the
// coordinator, which publishes it, and at every site, which checks it.

#include <absl/types/span.h>

#include <filesystem>
#include <map>
#include <string>

#include "protocols/plan/experiment.h"
#include "protocols/secagg/ring.h"
#include "protocols/update/model_state.h"

namespace cloister::plan {

// Writes the safetensors file to `path`, with `metadata` in its header; its SHA-256. Running variances
// ("*.running_var") stay at least zero. `update` and `counters`: the totals of the vectors of SumKind::kTrain, which
// keep to the plan's guards (guards.h). DATA_LOSS: they do not fit the model, or a value of the new model is not
// finite; INVALID_ARGUMENT: counters that cannot be, or sums outside their ring; RESOURCE_EXHAUSTED: the disk is full.
absl::StatusOr<Digest> WriteNextModel(const std::filesystem::path& path, const Experiment& experiment,
                                      const update::MappedModel& global, const secagg::RingView& update,
                                      absl::Span<const uint64_t> counters,
                                      const std::map<std::string, std::string>& metadata = {});

}  // namespace cloister::plan
