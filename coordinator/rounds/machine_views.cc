// SPDX-License-Identifier: Apache-2.0
// What follows from the state: what is to be done, who has which work, and what people are told.
#include <fmt/format.h>

#include <algorithm>

#include "coordinator/rounds/machine.h"
#include "protocols/wire/names.h"

namespace cloister::coordinator {
namespace {

std::string Count(size_t n, const char* what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

std::string Names(const SiteSet& sites) {
  std::string text;
  size_t named = 0;
  for (const SiteId& site : sites) {
    if (++named > 5) {
      return text + fmt::format(" and {} more", sites.size() - 5);
    }
    text += (text.empty() ? "" : ", ") + site.value();
  }
  return text;
}

}  // namespace

bool Participant::RefusedForGood() const {
  return refusal && !wire::MayChange(*refusal);
}

const Sum* ExperimentMachine::sum() const {
  if (const auto* training = std::get_if<Training>(&state_)) {
    return &training->sum;
  }
  if (const auto* validating = std::get_if<Validating>(&state_)) {
    return &validating->sum;
  }
  if (const auto* calibrating = std::get_if<Calibrating>(&state_)) {
    return &calibrating->sum;
  }
  return nullptr;
}

std::optional<Action> ExperimentMachine::Pending() const {
  if (const Sum* current = sum()) {
    if (current->closing) {
      return ClosePhase{current->key, current->phase};
    }
    if (current->finishing) {
      return FinishSum{current->key};
    }
  }
  if (std::holds_alternative<Deciding>(state_)) {
    return DecideGates{};
  }
  if (std::holds_alternative<Publishing>(state_)) {
    return PublishRelease{};
  }
  return std::nullopt;
}

absl::Time ExperimentMachine::NextDeadline() const {
  if (const auto* inviting = std::get_if<Inviting>(&state_)) {
    const absl::Duration invitation = absl::Milliseconds(rules_.invitation_ms);
    return inviting->enough_since ? *inviting->enough_since + invitation
                                  : inviting->since + (inviting->extended ? 2 : 1) * invitation;
  }
  if (const auto* seeding = std::get_if<Seeding>(&state_)) {
    return seeding->deadline;
  }
  if (const auto* baselines = std::get_if<Baselines>(&state_)) {
    return baselines->deadline;
  }
  if (const auto* summarising = std::get_if<Summarising>(&state_)) {
    return summarising->deadline;
  }
  const Sum* current = sum();
  return current != nullptr && !current->closing && !current->finishing ? current->deadline : absl::InfiniteFuture();
}

SiteWork ExperimentMachine::WorkFor(const SiteId& site) const {
  const auto known = sites_.find(site);
  if (known == sites_.end()) {
    return {};
  }
  const Participant& participant = known->second;
  if (std::holds_alternative<Inviting>(state_)) {
    const bool open = !participant.accepted && !participant.RefusedForGood();
    return open ? SiteWork(OfferWork{}) : SiteWork();
  }
  if (const auto* aborted = std::get_if<Aborted>(&state_)) {
    return ClosedWork{"aborted", aborted->reason};
  }
  if (participant.RefusedForGood()) {
    return {};
  }
  if (const auto* failed = std::get_if<Failed>(&state_)) {
    return ClosedWork{"failed", failed->reason};
  }
  if (!participant.excluded.empty()) {
    return ClosedWork{"closed", "this site is excluded: " + participant.excluded};
  }
  if (!participant.accepted) {
    return ClosedWork{"closed", fmt::format("it has started without this site; {} of at most {} sites take part",
                                            Accepted().size(), rules_.maximum)};
  }
  if (const auto* released = std::get_if<Released>(&state_)) {
    return released->pending.count(site) > 0 ? SiteWork(ReleaseWork{released->release})
                                             : SiteWork(ClosedWork{"released", released->release.value()});
  }
  if (const auto* seeding = std::get_if<Seeding>(&state_)) {
    return seeding->waiting.count(site) > 0 ? SiteWork(SeedWork{}) : SiteWork();
  }
  if (const auto* baselines = std::get_if<Baselines>(&state_)) {
    return baselines->waiting.count(site) > 0 ? SiteWork(BaselineWork{}) : SiteWork();
  }
  const Sum* current = sum();
  const bool open = current != nullptr && !current->closing && !current->finishing &&
                    current->expected.count(site) > 0 && current->answered.count(site) == 0;
  return open ? SiteWork(SumWork{current->key, current->phase, current->deadline}) : SiteWork();
}

SiteSet ExperimentMachine::Accepted() const {
  SiteSet accepted;
  for (const auto& [site, participant] : sites_) {
    if (participant.accepted && participant.excluded.empty()) {
      accepted.insert(site);
    }
  }
  return accepted;
}

SiteSet ExperimentMachine::Participants() const {
  SiteSet participants;
  for (const auto& [site, participant] : sites_) {
    if (participant.accepted) {
      participants.insert(site);
    }
  }
  return participants;
}

bool ExperimentMachine::IsParticipant(const SiteId& site) const {
  const auto known = sites_.find(site);
  return known != sites_.end() && known->second.accepted && known->second.excluded.empty();
}

bool ExperimentMachine::IsAway(const SiteId& site) const {
  const auto known = sites_.find(site);
  return known != sites_.end() && known->second.away;
}

bool ExperimentMachine::ended() const {
  return wire::HasEnded(phase());
}

wire::ExperimentPhase ExperimentMachine::phase() const {
  struct Visitor {
    wire::ExperimentPhase operator()(const Inviting&) { return wire::ExperimentPhase::kInviting; }
    wire::ExperimentPhase operator()(const Seeding&) { return wire::ExperimentPhase::kInviting; }
    wire::ExperimentPhase operator()(const Baselines&) { return wire::ExperimentPhase::kBaselines; }
    wire::ExperimentPhase operator()(const Training&) { return wire::ExperimentPhase::kTraining; }
    wire::ExperimentPhase operator()(const Validating&) { return wire::ExperimentPhase::kValidating; }
    wire::ExperimentPhase operator()(const Summarising&) { return wire::ExperimentPhase::kValidating; }
    wire::ExperimentPhase operator()(const Deciding&) { return wire::ExperimentPhase::kValidating; }
    wire::ExperimentPhase operator()(const Calibrating&) { return wire::ExperimentPhase::kCalibrating; }
    wire::ExperimentPhase operator()(const Publishing&) { return wire::ExperimentPhase::kCalibrating; }
    wire::ExperimentPhase operator()(const Released&) { return wire::ExperimentPhase::kReleased; }
    wire::ExperimentPhase operator()(const Failed&) { return wire::ExperimentPhase::kFailed; }
    wire::ExperimentPhase operator()(const Aborted&) { return wire::ExperimentPhase::kAborted; }
  };
  return std::visit(Visitor{}, state_);
}

std::string ExperimentMachine::TooFewSites() const {
  std::string text =
      fmt::format("{} accepted, at least {} are needed", Count(Accepted().size(), "site"), rules_.minimum);
  SiteSet silent;
  for (const auto& [site, participant] : sites_) {
    if (participant.refusal) {
      text += fmt::format("; {} refused: {}", site.value(), wire::NameOf(*participant.refusal));
    } else if (!participant.accepted) {
      silent.insert(site);
    }
  }
  return silent.empty() ? text : text + "; no answer from " + Names(silent);
}

// What went wrong with the newest rounds; empty: nothing.
std::string ExperimentMachine::LostRounds() const {
  std::string text;
  if (!refused_.empty() && skipped_ > 0) {
    text += fmt::format("; training round {} was refused by a guard, {}", refused_.back().round,
                        refused_.back().aggregate.why);
  }
  if (!taken_back_.empty()) {
    text += fmt::format("; {} was taken back: its totals do not have the sites' tags", NameOf(taken_back_.back()));
  }
  return text;
}

std::string ExperimentMachine::Message() const {
  if (const Sum* current = sum()) {
    if (current->finishing) {
      return NameOf(current->key) + ": adding up";
    }
    if (current->closing) {
      return fmt::format("{}, {}: closing", NameOf(current->key), wire::NameOf(current->phase));
    }
    return fmt::format("{}, {}: {} of {} sites answered; waiting for {}{}", NameOf(current->key),
                       wire::NameOf(current->phase), current->answered.size(),
                       current->answered.size() + current->awaited.size(), Names(current->awaited), LostRounds());
  }
  struct Visitor {
    const ExperimentMachine& machine;
    std::string operator()(const Inviting&) {
      const size_t accepted = machine.Accepted().size();
      const size_t minimum = static_cast<size_t>(machine.rules_.minimum);
      const auto open = std::count_if(machine.sites_.begin(), machine.sites_.end(), [](const auto& entry) {
        return !entry.second.accepted && !entry.second.RefusedForGood();
      });
      return fmt::format("{} accepted{}; waiting for {}", Count(accepted, "site"),
                         accepted < minimum ? fmt::format(", at least {} are needed", minimum) : "",
                         Count(static_cast<size_t>(open), "site"));
    }
    std::string operator()(const Seeding& state) { return "graph seed: waiting for " + Names(state.waiting); }
    std::string operator()(const Baselines& state) { return "baselines: waiting for " + Names(state.waiting); }
    std::string operator()(const Summarising& state) {
      return "validation: waiting for summaries of " + Names(state.waiting);
    }
    std::string operator()(const Deciding&) { return "the gates are being decided"; }
    std::string operator()(const Publishing&) { return "the release is being signed"; }
    std::string operator()(const Released& state) {
      return state.pending.empty()
                 ? "released: " + state.release.value()
                 : fmt::format("released: {}; not yet answered by {}", state.release.value(), Names(state.pending));
    }
    std::string operator()(const Failed& state) { return state.reason; }
    std::string operator()(const Aborted& state) { return state.reason; }
    std::string operator()(const Training&) { return ""; }
    std::string operator()(const Validating&) { return ""; }
    std::string operator()(const Calibrating&) { return ""; }
  };
  return std::visit(Visitor{*this}, state_);
}

std::string ExperimentMachine::StateOf(const SiteId& site) const {
  const auto known = sites_.find(site);
  if (known == sites_.end()) {
    return "";
  }
  const Participant& participant = known->second;
  if (!participant.accepted) {
    return participant.RefusedForGood() ? "refused" : "invited";
  }
  if (ended()) {
    return "done";
  }
  if (participant.away || participant.failure) {
    return "dropped";
  }
  if (const auto* baselines = std::get_if<Baselines>(&state_)) {
    return baselines->waiting.count(site) > 0 ? "baseline" : "answered";
  }
  if (const Sum* current = sum()) {
    if (current->answered.count(site) > 0) {
      return "answered";
    }
    return current->expected.count(site) > 0 ? "working" : "dropped";
  }
  if (const auto* seeding = std::get_if<Seeding>(&state_)) {
    return seeding->waiting.count(site) > 0 ? "accepted" : "answered";
  }
  return std::holds_alternative<Inviting>(state_) ? "accepted" : "answered";
}

}  // namespace cloister::coordinator
