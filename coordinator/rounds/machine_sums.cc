// SPDX-License-Identifier: Apache-2.0
// How a secure sum goes through its phases, loses sites, is tried again, and what comes after it.
#include <fmt/format.h>

#include <utility>

#include "coordinator/rounds/machine.h"
#include "protocols/wire/names.h"

namespace cloister::coordinator {
std::string ListOf(const SiteSet& sites) {
  std::string text;
  for (const SiteId& site : sites) {
    text += (text.empty() ? "" : ", ") + site.value();
  }
  return text;
}

void ExperimentMachine::StartSum(plan::SumKind kind, uint32_t round, uint32_t attempt, Step& step) {
  Sum sum;
  sum.key = {kind, round, attempt};
  sum.expected = Accepted();
  for (const SiteId& site : sum.expected) {
    sites_[site].failure.reset();
    if (!sites_[site].away) {
      sum.awaited.insert(site);
    }
  }
  // With too few sites there is nothing to gain by not waiting for the others.
  if (static_cast<int>(sum.awaited.size()) < rules_.minimum) {
    sum.awaited = sum.expected;
  }
  sum.started = now_;
  sum.deadline = now_ + absl::Milliseconds(rules_.deadline_ms);
  step.notes.push_back(NameOf(sum.key) + " starts");
  switch (kind) {
    case plan::SumKind::kTrain:
      round_ = round;
      state_ = Training{std::move(sum)};
      break;
    case plan::SumKind::kValidate:
      state_ = Validating{std::move(sum)};
      break;
    case plan::SumKind::kCalibrate:
      state_ = Calibrating{std::move(sum)};
      break;
  }
}

absl::Status ExperimentMachine::CheckCurrent(const Sum& sum, const SumKey& key) const {
  if (sum.key != key) {
    return absl::AbortedError(fmt::format("{} is over; now: {}", NameOf(key), NameOf(sum.key)));
  }
  return absl::OkStatus();
}

void ExperimentMachine::CloseIfComplete(Sum& sum) {
  if (sum.awaited.empty() && !sum.finishing) {
    sum.closing = true;
  }
}

absl::StatusOr<bool> ExperimentMachine::Takes(const SumAnswered& event) const {
  const Sum* current = sum();
  if (current == nullptr) {
    return absl::AbortedError(fmt::format("that step is over: {}", Message()));
  }
  CLOISTER_RETURN_IF_ERROR(CheckCurrent(*current, event.sum));
  if (current->phase == event.phase && current->answered.count(event.site) > 0) {
    return false;
  }
  if (current->phase != event.phase || current->closing || current->finishing) {
    return absl::AbortedError(fmt::format("{}: phase {} is over", NameOf(current->key), wire::NameOf(event.phase)));
  }
  if (current->expected.count(event.site) == 0) {
    return absl::PermissionDeniedError(fmt::format("{}: {} is not expected", NameOf(current->key), event.site.value()));
  }
  return true;
}

ExperimentMachine::Result ExperimentMachine::OnSum(Sum& sum, const SumAnswered& event) {
  CLOISTER_ASSIGN_OR_RETURN(const bool is_new, Takes(event));
  if (!is_new) {
    return Step{};
  }
  sum.answered.insert(event.site);
  sum.awaited.erase(event.site);
  sites_[event.site].away = false;
  if (event.enough && sum.phase == wire::SumPhase::kUnmask) {
    sum.awaited.clear();
  }
  CloseIfComplete(sum);
  return Changed(event);
}

ExperimentMachine::Result ExperimentMachine::OnSum(Sum& sum, const SiteFailed& event) {
  if (!event.sum) {
    return absl::AbortedError("the baselines are over");
  }
  CLOISTER_RETURN_IF_ERROR(CheckCurrent(sum, *event.sum));
  if (!IsParticipant(event.site) || !sum.failed.insert(event.site).second) {
    return Step{};
  }
  if (sum.answered.count(event.site) == 0) {  // what it has sent stands
    sum.expected.erase(event.site);
    sum.awaited.erase(event.site);
  }
  sites_[event.site].failure = event.reason;
  Step step = Changed(event);
  step.notes.push_back(fmt::format("{}: {} drops out: {}{}", NameOf(sum.key), event.site.value(),
                                   wire::NameOf(event.reason),
                                   event.about ? ", dealt by " + event.about->value() : ""));
  if (event.about && *event.about != event.site && IsParticipant(*event.about)) {
    sum.accusers[*event.about].insert(event.site);
  }
  if (event.reason == wire::FailureReason::kTagMismatch && sum.phase == wire::SumPhase::kAdvertise && unconfirmed_) {
    sum.mismatched.insert(event.site);
    if (OneIsHonest(sum.mismatched)) {
      return TakeBack(sum, std::move(step));
    }
  }
  CloseIfComplete(sum);
  return step;
}

ExperimentMachine::Result ExperimentMachine::OnSum(Sum& sum, const SiteHeard& event) {
  if (!IsAway(event.site)) {
    return Step{};
  }
  sites_[event.site].away = false;
  if (sum.phase == wire::SumPhase::kAdvertise && !sum.closing && sum.expected.count(event.site) > 0 &&
      sum.answered.count(event.site) == 0) {
    sum.awaited.insert(event.site);
  }
  Step step = Changed(event);
  step.notes.push_back(event.site.value() + " is back");
  return step;
}

ExperimentMachine::Result ExperimentMachine::OnSum(Sum& sum, const Tick& event) {
  if (now_ < sum.deadline || sum.closing || sum.finishing) {
    return Step{};
  }
  Step step = Changed(event);
  step.notes.push_back(fmt::format("{}: no answer from {} before the deadline", NameOf(sum.key), ListOf(sum.awaited)));
  for (const SiteId& site : sum.awaited) {
    sites_[site].away = true;
  }
  sum.awaited.clear();
  sum.closing = true;
  return step;
}

ExperimentMachine::Result ExperimentMachine::OnSum(Sum& sum, const PhaseClosed& event) {
  CLOISTER_RETURN_IF_ERROR(CheckCurrent(sum, event.sum));
  if (!sum.closing || sum.phase != event.phase) {
    return absl::FailedPreconditionError(
        fmt::format("{}: phase {} is not closing", NameOf(sum.key), wire::NameOf(event.phase)));
  }
  Step step = Changed(event);
  sum.closing = false;
  if (sum.phase == wire::SumPhase::kUnmask) {
    sum.finishing = true;
    return step;
  }
  if (sum.phase == wire::SumPhase::kAdvertise) {
    unconfirmed_.reset();
  }
  SiteSet next(event.next.begin(), event.next.end());
  if (sum.phase == wire::SumPhase::kMask) {
    sum.survivors = next;
  }
  sum.phase = static_cast<wire::SumPhase>(static_cast<int>(sum.phase) + 1);
  for (const SiteId& site : sum.failed) {
    next.erase(site);
  }
  sum.expected = next;
  sum.awaited = std::move(next);
  sum.answered.clear();
  sum.deadline = now_ + absl::Milliseconds(rules_.deadline_ms);
  CloseIfComplete(sum);
  return step;
}

ExperimentMachine::Result ExperimentMachine::OnSum(Sum& sum, const SumBroken& event) {
  CLOISTER_RETURN_IF_ERROR(CheckCurrent(sum, event.sum));
  if (!sum.closing && !sum.finishing) {
    return absl::FailedPreconditionError(NameOf(sum.key) + ": nothing was to be done");
  }
  Step step = Changed(event);
  const SumKey key = sum.key;
  const std::string why = NameOf(key) + ": " + event.why;
  ExcludeAccused(sum, step);
  if (sum.phase == wire::SumPhase::kUnmask && key.kind == plan::SumKind::kTrain) {
    return Skip(key, why, event.culprit, std::move(step));
  }
  if (sum.phase == wire::SumPhase::kUnmask) {
    return Fail(why + "; unmasking had begun, so these updates must not be summed again", std::move(step));
  }
  if (key.attempt + 1 >= plan::kMaxAttempts) {
    return Fail(fmt::format("{}; tried {} times", why, plan::kMaxAttempts), std::move(step));
  }
  step.notes.push_back(why + "; trying again");
  StartSum(key.kind, key.round, key.attempt + 1, step);
  return step;
}

// Unmasking had begun, so the updates of this round must not be summed again: they are lost, the model stays.
ExperimentMachine::Result ExperimentMachine::Skip(const SumKey& round, const std::string& why,
                                                  const std::optional<SiteId>& culprit, Step step) {
  step.notes.push_back(why + "; unmasking had begun, so the round is skipped and the model stays");
  if (culprit && IsParticipant(*culprit)) {
    sites_[*culprit].excluded = why;
    sites_[*culprit].failure = wire::FailureReason::kProtocolViolation;
    step.notes.push_back(culprit->value() + " is excluded");
  }
  const size_t left = Accepted().size();
  if (static_cast<int>(left) < rules_.minimum) {
    return Fail(fmt::format("{}; {} sites are left, at least {} are needed", why, left, rules_.minimum),
                std::move(step));
  }
  if (const std::string end = TooManySkipped(why, round.round == rounds_); !end.empty()) {
    return Fail(end, std::move(step));
  }
  return Advance(round, std::move(step));
}

std::string ExperimentMachine::TooManySkipped(const std::string& why, bool was_last) {
  ++skipped_;
  if (skipped_ >= max_skipped_) {
    return fmt::format("{}; {} round{} in a row gave no model", why, skipped_, skipped_ == 1 ? "" : "s");
  }
  return was_last && trained_ == 0 ? why + "; no round gave a model" : "";
}

// More than may collude, and never one alone: a lie that others can see is seen by two honest sites or more.
bool ExperimentMachine::OneIsHonest(const SiteSet& sites) const {
  return static_cast<int>(sites.size()) > colluders_ && sites.size() >= 2;
}

// One of `mismatched` is honest, so a site committed to a wrong tag or vector, or the coordinator published other
// totals than it added up. Sites of this sum have only advertised: it begins again with the model before.
ExperimentMachine::Result ExperimentMachine::TakeBack(const Sum& sum, Step step) {
  const SumKey key = sum.key;
  const SumKey lost = *unconfirmed_;
  const std::string why =
      fmt::format("{}: its totals do not have the sites' tags, say {}", NameOf(lost), ListOf(sum.mismatched));
  step.notes.push_back(why + "; a site or the coordinator lied; the round is taken back and the model before it stays");
  taken_back_.push_back(lost);
  unconfirmed_.reset();
  --trained_;
  skipped_ = skipped_before_;
  if (const std::string end = TooManySkipped(why, key.kind != plan::SumKind::kTrain); !end.empty()) {
    return Fail(end, std::move(step));
  }
  if (key.attempt + 1 >= plan::kMaxAttempts) {
    return Fail(fmt::format("{}; {} was tried {} times", why, NameOf(key), plan::kMaxAttempts), std::move(step));
  }
  StartSum(key.kind, key.round, key.attempt + 1, step);
  return step;
}

void ExperimentMachine::ExcludeAccused(const Sum& sum, Step& step) {
  for (const auto& [dealer, accusers] : sum.accusers) {
    if (!OneIsHonest(accusers) || !IsParticipant(dealer)) {
      continue;
    }
    sites_[dealer].excluded =
        fmt::format("{}: the shares that it dealt do not open, say {}", NameOf(sum.key), ListOf(accusers));
    sites_[dealer].failure = wire::FailureReason::kProtocolViolation;
    step.notes.push_back(fmt::format("{} is excluded: {}", dealer.value(), sites_[dealer].excluded));
  }
}

ExperimentMachine::Result ExperimentMachine::OnSum(Sum& sum, const SumFinished& event) {
  CLOISTER_RETURN_IF_ERROR(CheckCurrent(sum, event.sum));
  if (!sum.finishing) {
    return absl::FailedPreconditionError(NameOf(sum.key) + " is not finishing");
  }
  Step step = Changed(event);
  const SumKey key = sum.key;
  step.notes.push_back(fmt::format("{} done: {} of {} sites{}", NameOf(key), sum.survivors.size(), Accepted().size(),
                                   event.note.empty() ? "" : "; " + event.note));
  ExcludeAccused(sum, step);
  if (event.refused) {
    const std::string why = fmt::format("{} is refused by a guard of the plan, {}", NameOf(key), event.refused->why);
    step.notes.push_back(why + "; the model stays");
    refused_.push_back({key.round, *event.refused});
    if (const std::string end = TooManySkipped(why, key.round == rounds_); !end.empty()) {
      return Fail(end, std::move(step));
    }
  } else if (key.kind == plan::SumKind::kTrain) {
    ++trained_;
    skipped_before_ = std::exchange(skipped_, 0);
    unconfirmed_ = key;
  }
  return Advance(key, std::move(step));
}

ExperimentMachine::Result ExperimentMachine::Advance(const SumKey& finished, Step step) {
  switch (finished.kind) {
    case plan::SumKind::kTrain:
      if (finished.round < rounds_) {
        StartSum(plan::SumKind::kTrain, finished.round + 1, 0, step);
      } else {
        StartSum(plan::SumKind::kValidate, 1, 0, step);
      }
      return step;
    case plan::SumKind::kValidate: {
      Summarising next{{}, now_ + absl::Milliseconds(rules_.deadline_ms)};
      for (const SiteId& site : std::get<Validating>(state_).sum.survivors) {
        if (!sites_[site].summary) {
          next.waiting.insert(site);
        }
      }
      state_ = std::move(next);
      return MaybeDecide(std::get<Summarising>(state_), std::move(step));
    }
    case plan::SumKind::kCalibrate:
      state_ = Publishing{};
      return step;
  }
  return absl::InternalError("unknown kind of sum");
}

}  // namespace cloister::coordinator
