// SPDX-License-Identifier: Apache-2.0
// What sites and operators tell an experiment, and how it is stored. Sums are in job_sum.cc, the release in
// job_release.cc, what can be seen in job_views.cc.
#include "coordinator/service/job.h"

#include <fmt/format.h>

#include <algorithm>

#include "coordinator/service/active_sum.h"
#include "coordinator/storage/sum_store.h"
#include "eval/federated/site_summary.h"
#include "protocols/base/log.h"
#include "protocols/plan/documents.h"
#include "protocols/storage/audit_log.h"
#include "protocols/wire/names.h"

namespace cloister::coordinator {
namespace {

constexpr absl::Duration kRetryAfter = absl::Seconds(5);  // trouble of our own: a full disk
constexpr absl::Duration kMostGrace = absl::Seconds(60);  // longer than an agent's longest wait between two tries

// The one site that an event is about; null: it may concern all.
const SiteId* SiteOf(const Event& event) {
  return std::visit(
      [](const auto& happened) -> const SiteId* {
        using E = std::decay_t<decltype(happened)>;
        constexpr bool kOfOneSite = std::is_same_v<E, SiteKnown> || std::is_same_v<E, SiteAccepted> ||
                                    std::is_same_v<E, SiteRefused> || std::is_same_v<E, GraphRevealed> ||
                                    std::is_same_v<E, BaselineDone> || std::is_same_v<E, SumAnswered> ||
                                    std::is_same_v<E, SummaryCame> || std::is_same_v<E, SiteFailed> ||
                                    std::is_same_v<E, SiteHeard> || std::is_same_v<E, ReleaseAnswered>;
        if constexpr (kOfOneSite) {
          return &happened.site;
        } else {
          return nullptr;
        }
      },
      event);
}

// What decides, with its own answers, what a site has to do.
struct Stage {
  explicit Stage(const ExperimentMachine& machine) : state(machine.state().index()) {
    if (const Sum* now = machine.sum()) {
      sum = now->key;
      phase = now->phase;
      open = !now->closing && !now->finishing;
    }
  }
  friend bool operator==(const Stage& a, const Stage& b) {
    return a.state == b.state && a.sum == b.sum && a.phase == b.phase && a.open == b.open;
  }

  size_t state;
  SumKey sum;
  wire::SumPhase phase = wire::SumPhase::kAdvertise;
  bool open = false;
};

}  // namespace

Job::Job(const JobContext* context, StoredExperiment stored, plan::Experiment experiment, absl::Time submitted)
    : context_(context),
      stored_(std::move(stored)),
      experiment_(std::move(experiment)),
      machine_(experiment_, submitted) {}

Job::~Job() = default;

absl::StatusOr<std::unique_ptr<Job>> Job::Load(const JobContext* context, const StoredExperiment& stored) {
  CLOISTER_ASSIGN_OR_RETURN(plan::Experiment experiment, plan::ParsePlan(stored.plan.document));
  std::unique_ptr<Job> job(new Job(context, stored, std::move(experiment), absl::FromUnixMillis(stored.submitted_ms)));
  CLOISTER_RETURN_IF_ERROR(Annotate(job->LoadRows(), "experiment " + stored.job.value()));
  return job;
}

absl::Status Job::LoadRows() {
  storage::Database& database = *context_->database;
  const JobId& job = stored_.job;
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Fact> facts, LoadFacts(database, job));
  for (const Fact& fact : facts) {
    absl::StatusOr<Step> step = machine_.Handle(fact.time, fact.event);
    if (!step.ok()) {
      return absl::DataLossError(fmt::format("stored fact {} ({}) does not fit: {}", facts_, NameOf(fact.event),
                                             std::string(step.status().message())));
    }
    ++facts_;
    if (machine_.ended() && ended_at_ == absl::InfiniteFuture()) {
      ended_at_ = fact.time;
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(last_note_, LastNote(database, job));
  CLOISTER_ASSIGN_OR_RETURN(acceptances_, LoadAcceptances(database, job));
  CLOISTER_ASSIGN_OR_RETURN(baselines_, LoadBaselines(database, job));
  CLOISTER_ASSIGN_OR_RETURN(models_, LoadModels(database, job));
  SetAsideTakenBack();
  CLOISTER_ASSIGN_OR_RETURN(gates_, LoadGates(database, job));
  if (const auto* released = std::get_if<Released>(&machine_.state())) {
    CLOISTER_ASSIGN_OR_RETURN(const wire::ReleaseStatus release, LoadRelease(database, released->release));
    manifest_ = release.manifest;
  }
  return absl::OkStatus();
}

absl::Status Job::Audit(storage::Transaction& transaction, const std::string& actor, const std::string& action,
                        const std::string& type, uint64_t size_bytes, const Digest& digest) const {
  audit::Event event;
  event.time = context_->clock->Now();
  event.actor = actor;
  event.action = action;
  event.subject = stored_.job.value();
  event.type = type;
  event.size_bytes = size_bytes;
  event.digest = digest;
  return storage::AuditLog::Append(transaction, event).status();
}

absl::Status Job::Store(const Also& write, storage::Durable durable) {
  const auto store = [&]() -> absl::Status {
    CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, context_->database->Begin(durable));
    CLOISTER_RETURN_IF_ERROR(write(transaction));
    return transaction.Commit();
  };
  const absl::Status stored = store();
  return stored.ok() ? stored : absl::UnavailableError(stored.message());
}

absl::Status Job::Commit(const Event& event, const Also& also, storage::Durable durable) {
  const absl::Time now = context_->clock->Now();
  ExperimentMachine next = machine_;
  CLOISTER_ASSIGN_OR_RETURN(const Step step, next.Handle(now, event));
  if (step.facts.empty()) {
    return absl::OkStatus();
  }
  const bool ends = next.ended() && !machine_.ended();
  const bool same_stage = Stage(next) == Stage(machine_);
  const Also write = [&](storage::Transaction& transaction) -> absl::Status {
    uint64_t fact_sequence = facts_;
    for (const Fact& fact : step.facts) {
      CLOISTER_RETURN_IF_ERROR(AppendFact(transaction, stored_.job, fact_sequence++, fact));
    }
    uint64_t note_sequence = last_note_;
    for (const std::string& text : step.notes) {
      CLOISTER_RETURN_IF_ERROR(AppendNote(transaction, stored_.job, {++note_sequence, absl::ToUnixMillis(now), text}));
    }
    if (also) {
      CLOISTER_RETURN_IF_ERROR(also(transaction));
    }
    if (!ends) {
      return absl::OkStatus();
    }
    CLOISTER_RETURN_IF_ERROR(MarkExperimentEnded(transaction, stored_.job, absl::ToUnixMillis(now)));
    return Audit(transaction, "coordinator", "experiment " + std::string(wire::NameOf(next.phase())), "", 0,
                 stored_.plan_digest);
  };
  CLOISTER_RETURN_IF_ERROR(Store(write, durable));

  for (const auto& [site, participant] : next.sites()) {
    if (participant.away && !machine_.IsAway(site)) {
      newly_away_.insert(site);
    }
  }
  const bool leaves_sum =
      machine_.sum() != nullptr && (next.sum() == nullptr || next.sum()->key != machine_.sum()->key);
  const bool vouched_for = machine_.unconfirmed() && !next.unconfirmed();
  machine_ = std::move(next);
  Touch(event, same_stage);
  SetAsideTakenBack();
  facts_ += step.facts.size();
  last_note_ += step.notes.size();
  if (ends) {
    ended_at_ = now;
  }
  for (const std::string& text : step.notes) {
    Log()->info("{}: {}", stored_.job.value(), text);
  }
  if (leaves_sum) {
    DropSum();
  } else if (vouched_for) {
    DropVectors();
  }
  return absl::OkStatus();
}

absl::Status Job::CommitAnswer(const SumAnswered& answered, const Also& also) {
  const absl::Time now = context_->clock->Now();
  const Also write = [&](storage::Transaction& transaction) -> absl::Status {
    CLOISTER_RETURN_IF_ERROR(AppendFact(transaction, stored_.job, facts_, {now, answered}));
    return also(transaction);
  };
  // On the disk when the phase closes: nothing follows from it before, and until then its site would say it again.
  CLOISTER_RETURN_IF_ERROR(Store(write, storage::Durable::kWithNext));
  const Stage before(machine_);
  CLOISTER_RETURN_IF_ERROR(machine_.Handle(now, answered).status());
  Touch(answered, Stage(machine_) == before);
  ++facts_;
  return absl::OkStatus();
}

void Job::Touch(const Event& event, bool same_stage) {
  const SiteId* const site = SiteOf(event);
  if (site == nullptr || !same_stage) {
    touched_.reset();
  } else if (touched_) {
    touched_->insert(*site);
  }
}

std::optional<SiteSet> Job::TakeTouched() {
  return std::exchange(touched_, SiteSet());
}

// ---- what sites and operators say ----

absl::Status Job::Answer(const SiteId& site, const wire::ExperimentAnswer& answer) {
  Heard(site);
  if (!answer.acceptance) {
    return Commit(SiteRefused{site, *answer.refusal});
  }
  const wire::SignedDocument& document = *answer.acceptance;
  CLOISTER_ASSIGN_OR_RETURN(
      const std::string signer,
      crypto::VerifySignature(document.certificate, context_->ca, plan::kAcceptanceDomain, document.document,
                              document.signature, crypto::Role::kSite, context_->clock->Now()));
  CLOISTER_ASSIGN_OR_RETURN(const plan::Acceptance acceptance, plan::ParseAcceptance(document.document));
  if (signer != site.value() || acceptance.site != site) {
    return absl::PermissionDeniedError(
        fmt::format("{} sent an acceptance by {} for {}", site.value(), signer, acceptance.site.value()));
  }
  if (acceptance.plan != stored_.plan_digest) {
    return absl::FailedPreconditionError(fmt::format("{} accepted plan {}; this is plan {}", site.value(),
                                                     acceptance.plan.short_hex(), stored_.plan_digest.short_hex()));
  }
  if (const auto known = acceptances_.find(site); known != acceptances_.end() && known->second == document) {
    return absl::OkStatus();  // heard before
  }
  CLOISTER_RETURN_IF_ERROR(Commit(SiteAccepted{site}, [&](storage::Transaction& transaction) -> absl::Status {
    CLOISTER_RETURN_IF_ERROR(PutAcceptance(transaction, stored_.job, site, document));
    return Audit(transaction, site.value(), "accept", "acceptance", document.document.size(), stored_.plan_digest);
  }));
  acceptances_.emplace(site, document);  // the first one stands, as in the database
  return absl::OkStatus();
}

absl::Status Job::TakeReveal(const SiteId& site, const wire::GraphReveal& reveal) {
  if (const auto known = machine_.sites().find(site);
      known != machine_.sites().end() && known->second.graph_reveal == reveal.reveal) {
    return absl::OkStatus();  // heard before
  }
  const auto accepted = acceptances_.find(site);
  if (accepted == acceptances_.end()) {
    return absl::PermissionDeniedError(site.value() + " does not take part in " + stored_.job.value());
  }
  CLOISTER_ASSIGN_OR_RETURN(const plan::Acceptance acceptance, plan::ParseAcceptance(accepted->second.document));
  if (secagg::GraphCommitment(stored_.job, site, reveal.reveal.view()) != acceptance.graph_commitment) {
    return absl::InvalidArgumentError(
        fmt::format("graph seed: {} reveals something else than it committed to", site.value()));
  }
  return Commit(GraphRevealed{site, reveal.reveal}, [&](storage::Transaction& transaction) {
    return Audit(transaction, site.value(), "reveal", "graph_seed", secagg::kGraphRevealBytes, reveal.reveal);
  });
}

absl::Status Job::TakeBaseline(const SiteId& site, const wire::BaselineReady& ready) {
  if (const auto known = machine_.sites().find(site); known != machine_.sites().end() && known->second.baseline_done) {
    return absl::OkStatus();  // heard before; the first one stands
  }
  if (!ready.blob) {
    return Commit(BaselineDone{site, false});
  }
  StoredBaseline baseline{site, *ready.blob, 0, {}};
  absl::StatusOr<uint64_t> size = context_->blobs->SizeBytes(*ready.blob);
  if (!size.ok()) {
    return absl::FailedPreconditionError("upload the sealed baseline first: " + ready.blob->short_hex() +
                                         " is not here");
  }
  baseline.size_bytes = *size;
  for (const wire::SealedKey& key : ready.keys) {
    if (machine_.IsParticipant(key.site)) {
      baseline.keys[key.site] = key.sealed;
    }
  }
  // A step names the same models to everybody: one that somebody could not open is no use.
  for (const SiteId& reader : machine_.Accepted()) {
    if (baseline.keys.count(reader) == 0) {
      return absl::InvalidArgumentError(
          fmt::format("the baseline of {} is not sealed for {}: seal it for every acceptance of the task", site.value(),
                      reader.value()));
    }
  }
  CLOISTER_RETURN_IF_ERROR(Commit(BaselineDone{site, true}, [&](storage::Transaction& transaction) -> absl::Status {
    CLOISTER_RETURN_IF_ERROR(PutBaseline(transaction, stored_.job, baseline));
    return Audit(transaction, site.value(), "baseline", "sealed_baseline", baseline.size_bytes, baseline.blob);
  }));
  baselines_.emplace(site, std::move(baseline));
  return absl::OkStatus();
}

absl::Status Job::TakeSummary(const SiteId& site, const wire::SiteSummary& summary) {
  if (!machine_.IsParticipant(site)) {
    return absl::PermissionDeniedError(site.value() + " does not take part in " + stored_.job.value());
  }
  const auto kind = static_cast<plan::SumKind>(summary.kind);
  if (kind == plan::SumKind::kValidate && machine_.sites().at(site).summary) {
    return absl::OkStatus();  // heard before
  }
  for (const wire::ModelSummary& model : summary.models) {
    CLOISTER_RETURN_IF_ERROR(Annotate(eval::ParseSummary(model.summary).status(), "summary of " + model.model_id));
  }
  const Also put = [&](storage::Transaction& transaction) -> absl::Status {
    for (const wire::ModelSummary& model : summary.models) {
      CLOISTER_RETURN_IF_ERROR(PutSummary(transaction, stored_.job, kind, site, model.model_id, model.summary));
    }
    return absl::OkStatus();
  };
  if (kind == plan::SumKind::kValidate) {
    return Commit(SummaryCame{site}, put);
  }
  if (!std::holds_alternative<Calibrating>(machine_.state()) && !std::holds_alternative<Publishing>(machine_.state())) {
    return absl::FailedPreconditionError("no calibration is going on: " + machine_.Message());
  }
  return Store(put);
}

absl::Status Job::TakeFailure(const SiteId& site, const wire::SiteFailure& failure) {
  SiteFailed event{site, std::nullopt, failure.reason, failure.about};
  if (failure.kind) {
    event.sum = SumKey{static_cast<plan::SumKind>(*failure.kind), failure.round, failure.attempt};
  }
  const absl::Status status = Commit(event, [&](storage::Transaction& transaction) {
    return Audit(transaction, site.value(),
                 fmt::format("failure {}{}", wire::NameOf(failure.reason),
                             failure.about ? " about " + failure.about->value() : ""),
                 "", 0, Digest());
  });
  return absl::IsAborted(status) ? absl::OkStatus() : status;  // about something that is over: nothing to do
}

absl::Status Job::TakeReleaseAnswer(const SiteId& site, wire::ReleaseState state) {
  const auto* released = std::get_if<Released>(&machine_.state());
  if (released == nullptr) {
    return absl::FailedPreconditionError(stored_.job.value() + " has no release");
  }
  if (!machine_.IsParticipant(site)) {
    return absl::PermissionDeniedError(site.value() + " does not take part in " + stored_.job.value());
  }
  const ReleaseId release = released->release;
  CLOISTER_RETURN_IF_ERROR(Store([&](storage::Transaction& transaction) -> absl::Status {
    CLOISTER_RETURN_IF_ERROR(
        SetReleaseState(transaction, release, site, state, absl::ToUnixMillis(context_->clock->Now())));
    CLOISTER_RETURN_IF_ERROR(
        AppendNote(transaction, stored_.job,
                   {last_note_ + 1, absl::ToUnixMillis(context_->clock->Now()),
                    fmt::format("release {} at {}: {}", release.value(), site.value(), wire::NameOf(state))}));
    return Audit(transaction, site.value(), "release " + std::string(wire::NameOf(state)), "", 0, Digest());
  }));
  ++last_note_;
  return Commit(ReleaseAnswered{site, state});
}

absl::Status Job::Abort(const std::string& reason, const std::string& who) {
  return Commit(
      AbortRequested{fmt::format("{} ({})", reason.empty() ? "no reason given" : reason, who)},
      [&](storage::Transaction& transaction) { return Audit(transaction, who, "abort", "", 0, stored_.plan_digest); });
}

void Job::Heard(const SiteId& site) {
  const bool invite = std::holds_alternative<Inviting>(machine_.state()) && machine_.sites().count(site) == 0;
  if (!invite && !machine_.IsAway(site)) {
    return;
  }
  const absl::Status status = invite ? Commit(SiteKnown{site}) : Commit(SiteHeard{site});
  if (!status.ok()) {
    Log()->warn("{}: {}", stored_.job.value(), std::string(status.message()));
  }
}

void Job::Resume() {
  grace_until_ = context_->clock->Now() + std::min(absl::Milliseconds(experiment_.sites.deadline_ms), kMostGrace);
}

SiteSet Job::TakeNewlyAway() {
  return std::exchange(newly_away_, {});
}

// ---- what is to be done ----

absl::Time Job::Settle() {
  constexpr int kMostSteps = 64;
  for (int i = 0; i < kMostSteps; ++i) {
    const absl::Time now = context_->clock->Now();
    if (now < retry_at_) {
      return retry_at_;
    }
    if (IsFinishing()) {
      return absl::InfiniteFuture();
    }
    absl::Status status;
    if (const std::optional<Action> action = machine_.Pending()) {
      struct Visitor {
        Job& job;
        absl::Status operator()(const ClosePhase& a) { return job.DoClosePhase(a); }
        absl::Status operator()(const FinishSum& a) { return job.DoFinishSum(a); }
        absl::Status operator()(const DecideGates&) { return job.DoDecideGates(); }
        absl::Status operator()(const PublishRelease&) { return job.DoPublish(); }
      };
      status = std::visit(Visitor{*this}, *action);
    } else if (const absl::Time deadline = std::max(machine_.NextDeadline(), grace_until_); now < deadline) {
      return deadline;
    } else {
      status = Commit(Tick{});
    }
    if (!status.ok()) {
      trouble_ = std::string(status.message());
      Log()->error("{}: {}; trying again in {}", stored_.job.value(), trouble_, absl::FormatDuration(kRetryAfter));
      retry_at_ = now + kRetryAfter;
      return retry_at_;
    }
    trouble_.clear();
  }
  return context_->clock->Now();
}

}  // namespace cloister::coordinator
