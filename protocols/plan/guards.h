#pragma once
// SPDX-License-Identifier: Apache-2.0
// The plan's guards: does the aggregate of a training round look like one of honest sites? Computed from the published
// totals and the global model's file alone, the same numbers on every machine, so that the coordinator and every site
// decide the same. Against poisoned updates, which nobody can see one by one: docs/poisoning.md.

#include <absl/types/span.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/plan/experiment.h"
#include "protocols/secagg/ring.h"
#include "protocols/update/model_state.h"

namespace cloister::plan {

// What a global model's file says in its header about the accepted rounds behind it. The model's digest names it, so
// whoever vouches for the digest vouches for this: a site that was away reads it and can follow.
struct Lineage {
  static constexpr size_t kNormsKept = 15;

  std::vector<double> norms;     // of their aggregates, the newest last, at most kNormsKept
  std::optional<Digest> parent;  // the global model that the newest one trained from
};

// Do the guards compare with earlier rounds?
bool NeedsLineage(const Guards& guards);

// Empty for a file without one: the initial model. DATA_LOSS: not what LineageMetadata wrote.
absl::StatusOr<Lineage> LineageOf(const update::MappedModel& global);
std::map<std::string, std::string> LineageMetadata(const Lineage& lineage);

struct AggregateVerdict {
  double norm = 0;               // L2; 0 where the plan has no guards
  std::optional<double> median;  // of the norms of the rounds before
  std::optional<double> cosine;  // to the aggregate of the round before
  std::string broken;            // the guard that it breaks, with the numbers; empty: none
};

// The model that a judgement of a round from `global` compares with; none: the first round, or min_cosine is off. Codes
// as LineageOf.
absl::StatusOr<std::optional<Digest>> ModelBefore(const Experiment& experiment, const update::MappedModel& global);

// Of a training round from `global`. `before`: ModelBefore, or null where there is none. `update` and `counters`: the
// totals. DATA_LOSS: they or `before` do not fit the model; INVALID_ARGUMENT: counters that cannot be, or `before` is
// missing; also as LineageOf.
absl::StatusOr<AggregateVerdict> JudgeAggregate(const Experiment& experiment, const update::MappedModel& global,
                                                const update::MappedModel* before, const secagg::RingView& update,
                                                absl::Span<const uint64_t> counters);

// The header of the next model's file: `global_digest` and the verdict's norm behind what `global` has; empty when the
// guards need none. DATA_LOSS: as LineageOf.
absl::StatusOr<std::map<std::string, std::string>> NextLineage(const Experiment& experiment,
                                                               const update::MappedModel& global,
                                                               const Digest& global_digest,
                                                               const AggregateVerdict& verdict);

}  // namespace cloister::plan
