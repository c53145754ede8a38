#pragma once
// SPDX-License-Identifier: Apache-2.0
// What can happen to an experiment, and what its machine wants done. Events are the facts of an experiment: the driver
// stores those that changed something, in order, and a restarted coordinator handles them again.

#include <absl/time/time.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocols/base/ids.h"
#include "protocols/base/status.h"
#include "protocols/plan/sums.h"
#include "protocols/wire/messages.h"

namespace cloister::coordinator {

// One secure sum of an experiment. Attempts count from 0, rounds from 1.
struct SumKey {
  plan::SumKind kind = plan::SumKind::kTrain;
  uint32_t round = 0;
  uint32_t attempt = 0;

  friend bool operator==(const SumKey& a, const SumKey& b) {
    return a.kind == b.kind && a.round == b.round && a.attempt == b.attempt;
  }
  friend bool operator!=(const SumKey& a, const SumKey& b) { return !(a == b); }
};
// "training round 3", "validation, attempt 1".
std::string NameOf(const SumKey& sum);

// ---- from sites ----

struct SiteKnown {  // an enrolled site; invited if the plan invites it
  SiteId site;
};
struct SiteAccepted {
  SiteId site;
};
struct SiteRefused {
  SiteId site;
  wire::RefusalReason reason = wire::RefusalReason::kDeclined;
};
struct BaselineDone {
  SiteId site;
  bool shared = false;  // sealed for the others; else it stays at the site
};
struct SumAnswered {  // its message of this phase was accepted
  SumKey sum;
  wire::SumPhase phase = wire::SumPhase::kAdvertise;
  SiteId site;
  bool enough = false;  // kUnmask: nobody else is needed
};
struct SummaryCame {  // of the validation
  SiteId site;
};
struct SiteFailed {  // cannot go on with this step
  SiteId site;
  std::optional<SumKey> sum;  // none: the baseline
  wire::FailureReason reason = wire::FailureReason::kInternal;
  std::optional<SiteId> about = std::nullopt;  // kBadShare: who dealt it
};
struct SiteHeard {  // a site that had dropped out is there again
  SiteId site;
};
struct GraphRevealed {  // its part of the graph seed, which is what it committed to
  SiteId site;
  Digest reveal;
};
struct ReleaseAnswered {
  SiteId site;
  wire::ReleaseState state = wire::ReleaseState::kOffered;
};

// ---- from the driver, in answer to an Action ----

struct PhaseClosed {  // ClosePhase; `next` may answer the next phase (kMask: the survivors)
  SumKey sum;
  wire::SumPhase phase = wire::SumPhase::kAdvertise;
  std::vector<SiteId> next;
};
struct SumBroken {  // ClosePhase or FinishSum cannot be done
  SumKey sum;
  std::string why;
  std::optional<SiteId> culprit;  // who broke it beyond doubt
};
struct RefusedAggregate {  // of a training round: it breaks a guard of the plan, so there is no model
  std::string why;         // the guard, with the numbers
  Digest parent;           // the global model that the round trained from, and that stays
  Digest result;           // the totals, published
};
struct SumFinished {  // FinishSum: the total is stored
  SumKey sum;
  std::string note;  // one line with numbers, for people
  std::optional<RefusedAggregate> refused = std::nullopt;
};
struct Decided {                     // DecideGates
  std::vector<std::string> members;  // of the ensemble, best first; empty: nothing was accepted
  std::string note;
};
struct Published {  // PublishRelease
  ReleaseId release;
};
struct WorkFailed {  // DecideGates or PublishRelease cannot be done
  std::string why;
};

// ---- from elsewhere ----

struct AbortRequested {
  std::string reason;
};
struct Tick {};  // time has passed: deadlines

using Event = std::variant<SiteKnown, SiteAccepted, SiteRefused, BaselineDone, SumAnswered, SummaryCame, SiteFailed,
                           SiteHeard, ReleaseAnswered, PhaseClosed, SumBroken, SumFinished, Decided, Published,
                           WorkFailed, AbortRequested, Tick, GraphRevealed>;

// "sum_answered", "tick", ...
std::string NameOf(const Event& event);

// One event and when it happened, as it is stored.
struct Fact {
  absl::Time time;
  Event event;
};
std::string EncodeFact(const Fact& fact);                  // JSON
absl::StatusOr<Fact> DecodeFact(const std::string& text);  // DATA_LOSS: not what EncodeFact wrote

// ---- what the machine wants done now; each is answered by an event above ----

struct ClosePhase {
  SumKey sum;
  wire::SumPhase phase = wire::SumPhase::kAdvertise;
};
struct FinishSum {
  SumKey sum;
};
struct DecideGates {};
struct PublishRelease {};
using Action = std::variant<ClosePhase, FinishSum, DecideGates, PublishRelease>;

}  // namespace cloister::coordinator
