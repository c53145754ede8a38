// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/experiment_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "protocols/base/log.h"
#include "protocols/secagg/culprit.h"
#include "protocols/wire/names.h"
#include "site_agent/agent/graph_draw.h"
#include "site_agent/agent/progress_reporter.h"
#include "site_agent/agent/site_keys.h"
#include "site_agent/agent/status_text.h"

namespace cloister::site {
namespace {

// How long the coordinator may take to forget an item that was answered, before the answer is given again.
constexpr absl::Duration kSayAgainAfter = absl::Seconds(15);
constexpr int kRoundsKept = 2;  // job folders of training rounds

SumKey KeyOf(const wire::SumStep& step) {
  return {step.job, static_cast<int>(step.kind), step.round, step.attempt};
}

std::string NameOf(const wire::SumStep& step) {
  std::string name = step.kind == wire::SumKind::kTrain      ? fmt::format("round {}", step.round)
                     : step.kind == wire::SumKind::kValidate ? "validation"
                                                             : "calibration";
  return step.attempt > 0 ? fmt::format("{}, attempt {}", name, step.attempt) : name;
}

// The coordinator has moved on, or never wants it: not a failure of this site.
bool NotWanted(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsAborted(status);
}

}  // namespace

bool ExperimentRunner::Due(const std::string& what) const {
  const auto found = delivered_.find(what);
  return found == delivered_.end() || site_->clock->Now() - found->second >= kSayAgainAfter;
}

void ExperimentRunner::Delivered(const std::string& what) {
  delivered_[what] = site_->clock->Now();
}

absl::Status ExperimentRunner::Send(const wire::SiteMessage& message, const transport::StopSource& stop) {
  const absl::Status sent = site_->egress->Submit(message, stop);
  if (NotWanted(sent)) {
    Log()->info("{}: the coordinator no longer wants the {}: {}", job_.value(), wire::NameOf(message), TextOf(sent));
    return absl::OkStatus();
  }
  return sent;
}

absl::StatusOr<const AcceptedExperiment*> ExperimentRunner::Accepted() {
  if (accepted_ == nullptr) {
    CLOISTER_ASSIGN_OR_RETURN(accepted_, AcceptedExperiment::Load(*site_, job_));
    site_->egress->AllowFiles(job_, accepted_->plan);
  }
  return accepted_.get();
}

void ExperimentRunner::Step(const std::vector<wire::WorkItem>& items, const transport::StopSource& stop) {
  for (const wire::WorkItem& item : items) {
    if (stop.stopped()) {
      return;
    }
    std::visit([&](const auto& work) { Handle(work, stop); }, item);
  }
}

void ExperimentRunner::Handle(const wire::ExperimentOffer& offer, const transport::StopSource& stop) {
  if (!Due("offer")) {
    return;
  }
  const std::optional<wire::ExperimentAnswer> answer = offers_.Look(offer);
  if (!answer.has_value()) {
    return;
  }
  const absl::Status sent = Send(*answer, stop);
  if (!sent.ok()) {
    Log()->warn("{}: the answer did not get through: {}", job_.value(), TextOf(sent));
  } else if (answer->acceptance.has_value()) {
    Delivered("offer");
  }
}

void ExperimentRunner::Handle(const wire::ExperimentClosed& closed, const transport::StopSource&) {
  if (closed_) {
    return;
  }
  closed_ = true;
  const absl::StatusOr<ExperimentRow> known = site_->store->experiments().Get(job_);
  if (!known.ok() || known->state == ExperimentState::kClosed) {
    return;
  }
  (void)site_->store->experiments().SetClosed(job_, closed.phase, closed.reason);
  site_->Tell(job_.value(),
              fmt::format("experiment {}{}{}", closed.phase, closed.reason.empty() ? "" : ": ", closed.reason));
  CleanUp();
}

void ExperimentRunner::CleanUp() {
  sums_.clear();
  update_.reset();
  global_.reset();
  local_.reset();
  accepted_.reset();
  site_->egress->ForgetJob(job_);
  const absl::Status erased = EraseJobSecret(site_->config->data, job_);
  if (!erased.ok()) {
    Log()->error("{}: the job's secret could not be removed: {}", job_.value(), TextOf(erased));
  }
  (void)site_->store->sums().ForgetJob(job_);
  if (const absl::Status ended = site_->store->privacy().End(job_, site_->NowUnixMs()); !ended.ok()) {
    Log()->error("{}: the privacy that was promised and not spent could not be given back: {}", job_.value(),
                 TextOf(ended));
  }
  (void)site_->store->progress().Remove(job_.value());
  std::error_code ignored;
  std::filesystem::remove_all(site_->config->data / "spool" / job_.value(), ignored);
  SweepRounds(std::numeric_limits<int>::max());
}

// Training rounds leave weights and checkpoints behind: only the newest are kept, and the baseline.
void ExperimentRunner::SweepRounds(int keep_from) {
  const absl::StatusOr<std::vector<WorkerJobRow>> jobs = site_->store->worker_jobs().OfExperiment(job_.value());
  if (!jobs.ok()) {
    return;
  }
  for (const WorkerJobRow& row : *jobs) {
    int round = 0;
    if (row.kind == "train" && row.state != WorkerJobState::kRunning &&
        sscanf(row.title.c_str(), "round %d", &round) == 1 && round < keep_from) {
      std::error_code ignored;
      std::filesystem::remove_all(row.folder, ignored);
    }
  }
}

absl::StatusOr<std::optional<TrainingResult>> ExperimentRunner::Train(const AcceptedExperiment& experiment, int round,
                                                                      const std::filesystem::path& initial,
                                                                      const Digest& initial_digest) {
  failure_.reset();
  // The local-only baseline is trained without noise: with differential privacy it never leaves the site.
  const bool costs_privacy = round > 0 && experiment.plan.privacy.differential_privacy.has_value();
  const Digest training = TrainingDigest(experiment.plan_digest, experiment.cohort.digest, round, initial_digest);
  if (costs_privacy) {
    if (const absl::Status spent = privacy_.Spend(experiment.plan, experiment.cohort, training); !spent.ok()) {
      failure_ = wire::FailureReason::kInternal;
      return Annotate(spent, "differential privacy");
    }
  }
  crypto::SecretBytes noise_key;
  const bool with_noise = costs_privacy && HasPatientPrivacy(experiment.plan);
  if (with_noise) {
    noise_key = NoiseKey(experiment.job_secret, training);
  }
  const WorkerJob job =
      TrainingJob(job_, experiment.plan, experiment.cohort, round, initial, with_noise ? &noise_key : nullptr);
  const auto progress =
      std::make_shared<ProgressReporter>(&site_->store->progress(), site_->clock, job_.value(),
                                         round == 0 ? "baseline" : "round", round, experiment.plan.algorithm.rounds);
  const std::optional<WorkerOutcome> outcome =
      site_->jobs->Ensure(kTrainingLane, job, [progress](const WorkerProgress& step) { (*progress)(step); });
  if (!outcome.has_value()) {
    return std::nullopt;
  }
  if (const WorkerError* error = std::get_if<WorkerError>(&*outcome)) {
    failure_ = FailureOf(*error);
    site_->jobs->ForgetFailure(job);  // a later attempt tries again
    return absl::InternalError(fmt::format("training: {}: {}", WorkerFailureName(error->failure), error->message));
  }
  CLOISTER_ASSIGN_OR_RETURN(TrainingResult result, ReadTrainingResult(std::get<WorkerDone>(*outcome)));
  return result;
}

// ---- the graph seed ----

void ExperimentRunner::Handle(const wire::GraphSeedTask& task, const transport::StopSource& stop) {
  if (failed_.count("graph seed") > 0 || !Due("graph seed")) {
    return;
  }
  const absl::StatusOr<const AcceptedExperiment*> experiment = Accepted();
  const absl::StatusOr<Digest> reveal =
      experiment.ok() ? RevealGraphSeed(*site_, **experiment, task.acceptances) : experiment.status();
  if (reveal.ok()) {
    if (Send(wire::GraphReveal{job_, *reveal}, stop).ok()) {
      Delivered("graph seed");
      site_->Tell(job_.value(),
                  fmt::format("revealed its part of the graph seed to {} participants", task.acceptances.size()));
    }
    return;
  }
  const absl::Status& why = reveal.status();
  if (!NotWanted(why) && !absl::IsInvalidArgument(why) && !absl::IsUnauthenticated(why)) {
    Log()->warn("{}: the graph seed has to wait: {}", job_.value(), TextOf(why));
    return;  // trouble of this site, so no verdict yet: what is left is the deadline
  }
  failed_.insert("graph seed");
  site_->Tell(job_.value(), "does not reveal its part of the graph seed: " + TextOf(why));
  wire::SiteFailure failure;
  failure.job = job_;
  failure.reason = wire::FailureReason::kProtocolViolation;
  (void)Send(failure, stop);
}

// ---- secure sums ----

// What the session refused is the coordinator's doing, unless it knows better.
absl::Status ExperimentRunner::Blame(const absl::Status& status) {
  culprit_ = secagg::CulpritOf(status);
  failure_ = culprit_.has_value() ? wire::FailureReason::kBadShare : wire::FailureReason::kProtocolViolation;
  return status;
}

void ExperimentRunner::Handle(const wire::SumStep& step, const transport::StopSource& stop) {
  const SumKey key = KeyOf(step);
  const std::string name = fmt::format("sum/{}/{}/{}", key.kind, key.round, key.attempt);
  if (failed_.count(name) > 0 || !Due(name + "/" + std::string(wire::NameOf(step.phase)))) {
    return;
  }
  failure_.reset();
  const absl::StatusOr<const AcceptedExperiment*> experiment = Accepted();
  if (!experiment.ok()) {
    if (failed_.insert(name).second) {
      Log()->warn("{}: {} is asked for, but {}", job_.value(), NameOf(step), TextOf(experiment.status()));
    }
    return;
  }
  const absl::Status status = RunSum(**experiment, step, key, stop);
  if (status.ok() || absl::IsCancelled(status) || absl::IsUnavailable(status)) {
    return;
  }
  failed_.insert(name);
  FailSum(step, key, failure_.value_or(FailureOf(status)), TextOf(status), stop);
}

void ExperimentRunner::FailSum(const wire::SumStep& step, const SumKey& key, wire::FailureReason reason,
                               const std::string& why, const transport::StopSource& stop) {
  sums_.erase(key);
  site_->Tell(job_.value(), fmt::format("{} left in phase {}, {}: {}", NameOf(step), wire::NameOf(step.phase),
                                        wire::NameOf(reason), why));
  wire::SiteFailure failure;
  failure.job = job_;
  failure.kind = step.kind;
  failure.round = step.round;
  failure.attempt = step.attempt;
  failure.reason = reason;
  if (reason == wire::FailureReason::kBadShare) {
    failure.about = culprit_;
  }
  (void)Send(failure, stop);
}

absl::StatusOr<ExperimentRunner::OpenSum*> ExperimentRunner::Open(const AcceptedExperiment& experiment,
                                                                  const wire::SumStep& step, const SumKey& key,
                                                                  const transport::StopSource& stop) {
  OpenSum sum;
  for (const wire::ModelRef& model : step.models) {
    sum.models.push_back({model.id, model.kind == wire::ModelKind::kBaseline, model.blob});
  }
  plan::SumName name;
  name.job = job_;
  name.kind = static_cast<plan::SumKind>(step.kind);
  name.round = step.round;
  name.attempt = step.attempt;
  if (const auto found = sums_.find(key); found != sums_.end()) {
    // The masks are bound to the models that the sum began with; what is scored must be these and no others.
    if (plan::ModelListRoot(name.kind, sum.models) != plan::ModelListRoot(name.kind, found->second.models)) {
      failure_ = wire::FailureReason::kProtocolViolation;
      return absl::AbortedError("the step names other models than the sum began with");
    }
    return &found->second;
  }
  if (const absl::Status planned = plan::CheckSum(experiment.plan, name, sum.models); !planned.ok()) {
    failure_ = wire::FailureReason::kProtocolViolation;
    return planned;
  }
  secagg::ClientInputs inputs{{},  site_->signer(), *site_->ca, site_->clock->Now(), experiment.job_secret.Clone(), {},
                              true};
  for (const wire::ModelRef& model : step.models) {
    if (model.kind != wire::ModelKind::kGlobal) {
      continue;
    }
    const absl::StatusOr<ModelChain::GlobalModel> global =
        site_->chain->Fetch({job_, experiment.plan, experiment.MostModelBytes()}, model, stop);
    if (!global.ok()) {
      if (absl::IsDataLoss(global.status())) {
        failure_ = wire::FailureReason::kProtocolViolation;
      }
      return global.status();
    }
    for (const std::string& refusal : global->refusals) {
      site_->Tell(job_.value(), refusal);
    }
    if (!global->mismatch.empty()) {
      failure_ = wire::FailureReason::kTagMismatch;
      return absl::AbortedError(global->mismatch);
    }
    inputs.models_checked = inputs.models_checked && global->checked;
    sum.global_model = global->path;
  }
  if (step.kind == wire::SumKind::kTrain) {
    CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel model, update::MappedModel::Open(sum.global_model));
    if (model.layout().parameters() != experiment.plan.model.parameters) {
      failure_ = wire::FailureReason::kModelInvalid;
      return absl::InvalidArgumentError(fmt::format("the global model has {} parameters, the plan {}",
                                                    model.layout().parameters(), experiment.plan.model.parameters));
    }
    inputs.params = plan::SumParamsOf(experiment.plan, experiment.plan_digest, name, sum.models, model.values());
  } else {
    inputs.params = plan::SumParamsOf(experiment.plan, experiment.plan_digest, name, sum.models);
  }
  const absl::StatusOr<std::optional<DrawnGraph>> graph =
      DrawGraph(*site_, job_, step.phase == wire::SumPhase::kAdvertise ? step.message : Bytes());
  if (!graph.ok()) {
    failure_ = wire::FailureReason::kProtocolViolation;
    return graph.status();
  }
  if (graph->has_value()) {
    plan::UseSparseGraph(experiment.plan, (*graph)->participants, (*graph)->seed, inputs.params);
  }
  absl::StatusOr<std::unique_ptr<SumSession>> session =
      SumSession::Open(&site_->store->sums(), key, std::move(inputs),
                       step.kind == wire::SumKind::kTrain ? step.models[0].blob : Digest(),
                       site_->config->data / "spool" / job_.value());
  if (!session.ok()) {
    return Blame(session.status());
  }
  sum.session = *std::move(session);
  for (auto other = sums_.begin(); other != sums_.end();) {  // earlier ones are over for this site
    other = other->first.kind == key.kind ? sums_.erase(other) : std::next(other);
  }
  return &sums_.emplace(key, std::move(sum)).first->second;
}

absl::Status ExperimentRunner::RunSum(const AcceptedExperiment& experiment, const wire::SumStep& step,
                                      const SumKey& key, const transport::StopSource& stop) {
  if (step.phase != wire::SumPhase::kMask) {
    CLOISTER_ASSIGN_OR_RETURN(const std::optional<Bytes> said,
                              StoredReply(site_->store->sums(), key, step.phase, step.message));
    if (said.has_value()) {
      CLOISTER_RETURN_IF_ERROR(Reply(step, *said, {}, stop));
      if (step.phase > wire::SumPhase::kMask) {
        return absl::OkStatus();
      }
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(OpenSum* const sum, Open(experiment, step, key, stop));
  if (step.kind == wire::SumKind::kTrain && step.phase <= wire::SumPhase::kMask) {
    if (step.phase == wire::SumPhase::kAdvertise) {
      SweepRounds(static_cast<int>(step.round) - kRoundsKept);
    }
    // Local training starts with the round's first message and runs beside the next ones.
    const absl::StatusOr<std::optional<TrainingResult>> started =
        Train(experiment, static_cast<int>(step.round), sum->global_model, sum->models[0].blob);
    CLOISTER_RETURN_IF_ERROR(started.status());
  }
  if (step.phase == wire::SumPhase::kMask) {
    return RunMask(experiment, step, key, *sum, stop);
  }
  if (!Due(fmt::format("sum/{}/{}/{}/{}", key.kind, key.round, key.attempt, wire::NameOf(step.phase)))) {
    return absl::OkStatus();
  }
  const absl::StatusOr<std::optional<Bytes>> reply = sum->session->Handle(step.phase, step.message);
  if (!reply.ok()) {
    return Blame(reply.status());
  }
  if (step.phase == wire::SumPhase::kUnmask) {
    CLOISTER_RETURN_IF_ERROR(NoteVouchedFor(step));
  }
  return reply->has_value() ? Reply(step, **reply, {}, stop) : absl::OkStatus();
}

// The session accepted its roster, so more than the colluders have checked these very models: a site that was away once
// need not say so for ever. Only at the end: until then a restarted site has to advertise what it did before.
absl::Status ExperimentRunner::NoteVouchedFor(const wire::SumStep& step) {
  for (const wire::ModelRef& model : step.models) {
    if (model.kind == wire::ModelKind::kGlobal) {
      CLOISTER_RETURN_IF_ERROR(site_->store->sums().SetChecked(job_, model.blob));
    }
  }
  return absl::OkStatus();
}

absl::Status ExperimentRunner::Reply(const wire::SumStep& step, const Bytes& reply, const std::vector<Digest>& vectors,
                                     const transport::StopSource& stop) {
  wire::SumMessage message;
  message.job = job_;
  message.kind = step.kind;
  message.round = step.round;
  message.attempt = step.attempt;
  message.phase = step.phase;
  message.message = reply;
  message.vectors = vectors;
  CLOISTER_RETURN_IF_ERROR(Send(message, stop));
  const SumKey key = KeyOf(step);
  (void)site_->store->sums().SetSent(key, static_cast<int>(step.phase));
  Delivered(fmt::format("sum/{}/{}/{}/{}", key.kind, key.round, key.attempt, wire::NameOf(step.phase)));
  return absl::OkStatus();
}

absl::Status ExperimentRunner::RunMask(const AcceptedExperiment& experiment, const wire::SumStep& step,
                                       const SumKey& key, OpenSum& sum, const transport::StopSource& stop) {
  const absl::StatusOr<std::optional<Bytes>> heard = sum.session->Handle(step.phase, step.message);
  if (!heard.ok()) {
    return Blame(heard.status());
  }
  std::function<absl::StatusOr<std::vector<VectorContent>>()> contents;
  if (step.kind == wire::SumKind::kTrain) {
    CLOISTER_ASSIGN_OR_RETURN(const std::optional<TrainingResult> local,
                              Train(experiment, static_cast<int>(step.round), sum.global_model, sum.models[0].blob));
    if (!local.has_value()) {
      return absl::OkStatus();
    }
    contents = [&, local = *local] { return TrainingContents(experiment, step, sum, local); };
  } else {
    CLOISTER_ASSIGN_OR_RETURN(const std::optional<std::vector<uint64_t>> counters,
                              ValidationCounters(experiment, step, sum, stop));
    if (!counters.has_value()) {
      return absl::OkStatus();
    }
    contents = [counters = *counters]() -> absl::StatusOr<std::vector<VectorContent>> {
      return std::vector<VectorContent>{CountersContent(counters)};
    };
  }
  const absl::StatusOr<std::vector<SumVectorRow>> vectors = sum.session->WriteVectors(contents, stop);
  update_.reset();
  global_.reset();
  local_.reset();
  CLOISTER_RETURN_IF_ERROR(vectors.status());
  std::vector<Digest> digests;
  for (const SumVectorRow& vector : *vectors) {
    std::error_code error;
    wire::BlobHeader header;
    header.digest = vector.digest;
    header.size_bytes = std::filesystem::file_size(vector.path, error);
    header.purpose = wire::BlobPurpose::kMaskedVector;
    header.job = job_;
    const absl::Status uploaded = site_->egress->Upload(header, vector.path, stop);
    if (NotWanted(uploaded)) {
      Log()->info("{}: the coordinator no longer wants {}: {}", job_.value(), NameOf(step), TextOf(uploaded));
      Delivered(fmt::format("sum/{}/{}/{}/{}", key.kind, key.round, key.attempt, wire::NameOf(step.phase)));
      return absl::OkStatus();
    }
    CLOISTER_RETURN_IF_ERROR(uploaded);
    digests.push_back(vector.digest);
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<Bytes> commit,
                            StoredReply(site_->store->sums(), key, step.phase, step.message));
  if (!commit.has_value()) {
    return absl::InternalError("masked vectors without a commit");
  }
  CLOISTER_RETURN_IF_ERROR(Reply(step, *commit, digests, stop));
  Log()->info("{}: {}: masked vectors sent", job_.value(), NameOf(step));
  return absl::OkStatus();
}

}  // namespace cloister::site
