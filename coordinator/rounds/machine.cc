// SPDX-License-Identifier: Apache-2.0
// The phases of an experiment; the sums inside them are in machine_sums.cc, what can be seen of them in
// machine_views.cc.
#include "coordinator/rounds/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "protocols/secagg/neighbourhoods.h"
#include "protocols/wire/names.h"

namespace cloister::coordinator {
namespace {

template <typename S>
constexpr bool kHoldsSum =
    std::is_same_v<S, Training> || std::is_same_v<S, Validating> || std::is_same_v<S, Calibrating>;
template <typename S>
constexpr bool kEnded = std::is_same_v<S, Released> || std::is_same_v<S, Failed> || std::is_same_v<S, Aborted>;
template <typename E>
constexpr bool kSumEvent = std::is_same_v<E, SumAnswered> || std::is_same_v<E, SiteFailed> ||
                           std::is_same_v<E, SiteHeard> || std::is_same_v<E, PhaseClosed> ||
                           std::is_same_v<E, SumBroken> || std::is_same_v<E, SumFinished> || std::is_same_v<E, Tick>;
template <typename E>
constexpr bool kAnyEvent =
    std::is_same_v<E, AbortRequested> || std::is_same_v<E, SummaryCame> || std::is_same_v<E, SiteHeard>;

}  // namespace

ExperimentMachine::ExperimentMachine(const plan::Experiment& experiment, absl::Time now)
    : rules_(experiment.sites),
      max_skipped_(static_cast<uint32_t>(experiment.algorithm.max_skipped_rounds)),
      rounds_(static_cast<uint32_t>(experiment.algorithm.rounds)),
      colluders_(experiment.privacy.colluders),
      now_(now),
      state_(Inviting{now, {}, false}) {
  for (const std::string& site : rules_.invited) {
    if (absl::StatusOr<SiteId> id = SiteId::Parse(site); id.ok()) {
      sites_[*std::move(id)] = {};
    }
  }
}

absl::StatusOr<Step> ExperimentMachine::Handle(absl::Time now, const Event& event) {
  now_ = absl::FromUnixMillis(absl::ToUnixMillis(now));  // as facts keep it
  return std::visit([this](auto& state, const auto& happened) { return On(state, happened); }, state_, event);
}

template <typename S, typename E>
ExperimentMachine::Result ExperimentMachine::On(S& state, const E& event) {
  if constexpr (kHoldsSum<S> && kSumEvent<E>) {
    return OnSum(state.sum, event);
  } else if constexpr (!kEnded<S> && kAnyEvent<E>) {
    return OnAny(event);
  } else if constexpr (std::is_same_v<E, Tick> || std::is_same_v<E, SiteKnown> || std::is_same_v<E, SiteHeard>) {
    return Step{};  // says nothing new here
  } else if constexpr (std::is_same_v<E, SumAnswered> || std::is_same_v<E, SiteFailed>) {
    return absl::AbortedError(fmt::format("that step is over: {}", Message()));
  } else {
    return absl::FailedPreconditionError(fmt::format("{} does not fit now: {}", NameOf(Event(event)), Message()));
  }
}

Step ExperimentMachine::Changed(const Event& event) const {
  return Step{{Fact{now_, event}}, {}};
}

ExperimentMachine::Result ExperimentMachine::Fail(std::string reason, Step step) {
  step.notes.push_back("failed: " + reason);
  state_ = Failed{std::move(reason)};
  return step;
}

// ---- Inviting ----

ExperimentMachine::Result ExperimentMachine::On(Inviting&, const SiteKnown& event) {
  if (!rules_.invited.empty() || sites_.count(event.site) > 0) {
    return Step{};
  }
  sites_[event.site] = {};
  Step step = Changed(event);
  step.notes.push_back(event.site.value() + " is invited");
  return step;
}

ExperimentMachine::Result ExperimentMachine::On(Inviting& state, const SiteAccepted& event) {
  const auto site = sites_.find(event.site);
  if (site == sites_.end()) {
    return absl::PermissionDeniedError(event.site.value() + " is not invited");
  }
  if (site->second.accepted) {
    return Step{};
  }
  if (site->second.RefusedForGood()) {
    return absl::FailedPreconditionError(
        fmt::format("{} has already refused: {}", event.site.value(), wire::NameOf(*site->second.refusal)));
  }
  site->second.accepted = true;
  site->second.refusal.reset();
  Step step = Changed(event);
  step.notes.push_back(event.site.value() + " takes part");
  return MaybeStart(state, std::move(step));
}

ExperimentMachine::Result ExperimentMachine::On(Inviting& state, const SiteRefused& event) {
  const auto site = sites_.find(event.site);
  if (site == sites_.end()) {
    return absl::PermissionDeniedError(event.site.value() + " is not invited");
  }
  if (site->second.accepted) {
    return absl::FailedPreconditionError(event.site.value() + " has already accepted");
  }
  if (site->second.refusal == event.reason) {
    return Step{};
  }
  site->second.refusal = event.reason;
  Step step = Changed(event);
  if (event.reason == wire::RefusalReason::kNotApproved) {
    step.notes.push_back(event.site.value() + " waits for approval by the site");
  } else {
    step.notes.push_back(fmt::format("{} {}: {}", event.site.value(),
                                     site->second.RefusedForGood() ? "refuses" : "cannot take part yet",
                                     wire::NameOf(event.reason)));
  }
  if (state.extended && !MayReachMinimum()) {
    return Fail(TooFewSites(), std::move(step));
  }
  return MaybeStart(state, std::move(step));
}

ExperimentMachine::Result ExperimentMachine::On(Inviting& state, const Tick& event) {
  if (now_ < NextDeadline()) {
    return Step{};
  }
  Step step = Changed(event);
  if (state.enough_since) {
    return MaybeStart(state, std::move(step));
  }
  if (state.extended || !MayReachMinimum()) {
    return Fail(TooFewSites(), std::move(step));
  }
  state.extended = true;
  step.notes.push_back("waiting as long once more: " + TooFewSites());
  return step;
}

// Starts once enough sites take part and nobody's answer is waited for, or nobody else can be taken. A refusal that may
// change is not an answer.
ExperimentMachine::Result ExperimentMachine::MaybeStart(Inviting& state, Step step) {
  const SiteSet accepted = Accepted();
  if (static_cast<int>(accepted.size()) < rules_.minimum) {
    return step;
  }
  if (!state.enough_since) {
    state.enough_since = now_;
  }
  const bool all_answered = std::all_of(sites_.begin(), sites_.end(), [](const auto& entry) {
    return entry.second.accepted || entry.second.RefusedForGood();
  });
  const bool full = static_cast<int>(accepted.size()) >= rules_.maximum;
  const bool over = now_ >= *state.enough_since + absl::Milliseconds(rules_.invitation_ms);
  if (!all_answered && !full && !over) {
    return step;
  }
  if (accepted.size() <= size_t{secagg::kFullGraphSites}) {
    return StartBaselines(std::move(step));
  }
  const auto graph = secagg::SparseParametersOf(accepted.size(), colluders_, int64_t{rounds_} * plan::kMaxAttempts);
  if (!graph.ok()) {
    return Fail(std::string(graph.status().message()), std::move(step));
  }
  step.notes.push_back(fmt::format("{} sites take part: each masks with {} others, {} of them recover a secret",
                                   accepted.size(), graph->degree, graph->threshold));
  state_ = Seeding{accepted, now_ + absl::Milliseconds(rules_.deadline_ms)};
  return step;
}

Step ExperimentMachine::StartBaselines(Step step) {
  const SiteSet accepted = Accepted();
  step.notes.push_back(fmt::format("{} sites take part; each trains alone first", accepted.size()));
  state_ = Baselines{accepted, now_ + absl::Milliseconds(rules_.deadline_ms)};
  return step;
}

// Sites that the plan does not name may still enrol, so there only time ends the hope.
bool ExperimentMachine::MayReachMinimum() const {
  const auto lost =
      std::count_if(sites_.begin(), sites_.end(), [](const auto& entry) { return entry.second.RefusedForGood(); });
  return rules_.invited.empty() || static_cast<int>(sites_.size() - lost) >= rules_.minimum;
}

// ---- Seeding: all or nobody, because a site that could stay out would choose between two seeds ----

ExperimentMachine::Result ExperimentMachine::On(Seeding& state, const GraphRevealed& event) {
  if (!IsParticipant(event.site)) {
    return absl::PermissionDeniedError(event.site.value() + " does not take part");
  }
  if (state.waiting.erase(event.site) == 0) {
    return Step{};
  }
  sites_[event.site].graph_reveal = event.reveal;
  Step step = Changed(event);
  return state.waiting.empty() ? StartBaselines(std::move(step)) : std::move(step);
}

ExperimentMachine::Result ExperimentMachine::On(Seeding& state, const SiteFailed& event) {
  if (event.sum || state.waiting.count(event.site) == 0) {
    return Step{};
  }
  sites_[event.site].failure = event.reason;
  return Fail(
      fmt::format("{} does not reveal its part of the graph seed: {}", event.site.value(), wire::NameOf(event.reason)),
      Changed(event));
}

ExperimentMachine::Result ExperimentMachine::On(Seeding& state, const Tick& event) {
  if (now_ < state.deadline) {
    return Step{};
  }
  return Fail("no part of the graph seed before the deadline from " + ListOf(state.waiting), Changed(event));
}

// ---- Baselines ----

ExperimentMachine::Result ExperimentMachine::TakeBaseline(const BaselineDone& event) {
  if (!IsParticipant(event.site)) {
    return absl::PermissionDeniedError(event.site.value() + " does not take part");
  }
  Participant& site = sites_[event.site];
  if (site.baseline_done) {
    return Step{};
  }
  site.baseline_done = true;
  site.baseline_shared = event.shared;
  site.failure.reset();
  Step step = Changed(event);
  step.notes.push_back(fmt::format("{}: local-only baseline ready, {}", event.site.value(),
                                   event.shared ? "sealed for the others" : "kept at the site"));
  return step;
}

ExperimentMachine::Result ExperimentMachine::On(Baselines& state, const BaselineDone& event) {
  CLOISTER_ASSIGN_OR_RETURN(Step step, TakeBaseline(event));
  state.waiting.erase(event.site);
  return step.facts.empty() ? step : MaybeTrain(state, std::move(step));
}

ExperimentMachine::Result ExperimentMachine::On(Training&, const BaselineDone& event) {
  return TakeBaseline(event);
}

ExperimentMachine::Result ExperimentMachine::On(Baselines& state, const SiteFailed& event) {
  if (event.sum) {
    return absl::AbortedError("that step is over");
  }
  if (state.waiting.erase(event.site) == 0) {
    return Step{};
  }
  sites_[event.site].failure = event.reason;
  Step step = Changed(event);
  step.notes.push_back(fmt::format("{}: no baseline: {}", event.site.value(), wire::NameOf(event.reason)));
  return MaybeTrain(state, std::move(step));
}

ExperimentMachine::Result ExperimentMachine::On(Baselines& state, const Tick& event) {
  if (now_ < state.deadline) {
    return Step{};
  }
  Step step = Changed(event);
  for (const SiteId& site : state.waiting) {
    sites_[site].away = true;
    step.notes.push_back(site.value() + ": no baseline before the deadline");
  }
  state.waiting.clear();
  return MaybeTrain(state, std::move(step));
}

ExperimentMachine::Result ExperimentMachine::MaybeTrain(Baselines& state, Step step) {
  if (state.waiting.empty()) {
    StartSum(plan::SumKind::kTrain, 1, 0, step);
  }
  return step;
}

// ---- Summarising, Deciding, Publishing, Released ----

ExperimentMachine::Result ExperimentMachine::On(Summarising& state, const SummaryCame& event) {
  if (!IsParticipant(event.site)) {
    return absl::PermissionDeniedError(event.site.value() + " does not take part");
  }
  if (sites_[event.site].summary) {
    return Step{};
  }
  sites_[event.site].summary = true;
  state.waiting.erase(event.site);
  return MaybeDecide(state, Changed(event));
}

ExperimentMachine::Result ExperimentMachine::On(Summarising& state, const Tick& event) {
  if (now_ < state.deadline) {
    return Step{};
  }
  Step step = Changed(event);
  for (const SiteId& site : state.waiting) {
    step.notes.push_back(site.value() + ": no summary before the deadline");
  }
  state.waiting.clear();
  return MaybeDecide(state, std::move(step));
}

ExperimentMachine::Result ExperimentMachine::MaybeDecide(Summarising& state, Step step) {
  if (state.waiting.empty()) {
    state_ = Deciding{};
  }
  return step;
}

ExperimentMachine::Result ExperimentMachine::On(Deciding&, const Decided& event) {
  Step step = Changed(event);
  if (event.members.empty()) {
    return Fail(event.note, std::move(step));
  }
  members_ = event.members;
  step.notes.push_back(event.note);
  // One member alone has its tuning histogram in the validation's total. Asking for the same vector again, over the
  // sites that are still there, would tell the histogram of one that is not.
  if (members_.size() == 1) {
    state_ = Publishing{};
    return step;
  }
  StartSum(plan::SumKind::kCalibrate, 1, 0, step);
  return step;
}

ExperimentMachine::Result ExperimentMachine::On(Deciding&, const WorkFailed& event) {
  return Fail(event.why, Changed(event));
}

ExperimentMachine::Result ExperimentMachine::On(Publishing&, const Published& event) {
  Step step = Changed(event);
  step.notes.push_back("released: " + event.release.value());
  state_ = Released{event.release, Accepted()};
  return step;
}

ExperimentMachine::Result ExperimentMachine::On(Publishing&, const WorkFailed& event) {
  return Fail(event.why, Changed(event));
}

ExperimentMachine::Result ExperimentMachine::On(Released& state, const ReleaseAnswered& event) {
  if (!IsParticipant(event.site)) {
    return absl::PermissionDeniedError(event.site.value() + " does not take part");
  }
  if (event.state == wire::ReleaseState::kOffered || state.pending.erase(event.site) == 0) {
    return Step{};  // later changes of mind are the registry's
  }
  return Changed(event);
}

// ---- in any state ----

ExperimentMachine::Result ExperimentMachine::OnAny(const AbortRequested& event) {
  Step step = Changed(event);
  step.notes.push_back("aborted: " + event.reason);
  state_ = Aborted{event.reason};
  return step;
}

ExperimentMachine::Result ExperimentMachine::OnAny(const SummaryCame& event) {
  if (!std::holds_alternative<Validating>(state_)) {
    return absl::FailedPreconditionError("no validation is going on: " + Message());
  }
  if (!IsParticipant(event.site)) {
    return absl::PermissionDeniedError(event.site.value() + " does not take part");
  }
  if (sites_[event.site].summary) {
    return Step{};
  }
  sites_[event.site].summary = true;
  return Changed(event);
}

ExperimentMachine::Result ExperimentMachine::OnAny(const SiteHeard& event) {
  if (!IsAway(event.site)) {
    return Step{};
  }
  sites_[event.site].away = false;
  return Changed(event);
}

}  // namespace cloister::coordinator
