// SPDX-License-Identifier: Apache-2.0
// The secure sums of an experiment: messages in, masked vectors from the spool into one total, a new model or
// histograms out.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "coordinator/service/active_sum.h"
#include "coordinator/service/spooled_sum.h"
#include "coordinator/storage/sum_store.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/plan/guards.h"
#include "protocols/plan/next_model.h"
#include "protocols/plan/sum_result.h"
#include "protocols/secagg/messages.h"
#include "protocols/secagg/ring.h"
#include "protocols/update/model_state.h"
#include "protocols/wire/limits.h"

namespace cloister::coordinator {
namespace {

// Is `status` trouble of this machine (try again later) and not a verdict about the sum?
bool IsOurTrouble(const absl::Status& status) {
  return status.code() == absl::StatusCode::kResourceExhausted || status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kPermissionDenied;
}

wire::SumPhase WirePhase(secagg::ServerPhase phase) {
  return static_cast<wire::SumPhase>(static_cast<int>(phase) + 1);  // kDone: one past kUnmask
}

}  // namespace

// The models of a step; sealed keys are filled in for each reader.
std::vector<wire::ModelRef> Job::SumModels(plan::SumKind kind) const {
  const auto global = [](const ModelRecord& model) {
    wire::ModelRef reference{model.id, wire::ModelKind::kGlobal, model.digest, model.size_bytes, {}, {}, {}};
    if (model.parent.has_value() && model.result.has_value()) {
      reference.made_by = wire::SumOrigin{*model.parent, *model.result, model.round};
    }
    return reference;
  };
  std::vector<wire::ModelRef> models;
  const auto refused_since = [this](wire::ModelRef& newest) {
    for (const ExperimentMachine::RefusedRound& refused : machine_.refused()) {
      if (refused.aggregate.parent == newest.blob) {
        newest.refused.push_back({refused.aggregate.parent, refused.aggregate.result, refused.round});
      }
    }
  };
  switch (kind) {
    case plan::SumKind::kTrain:
      models.push_back(global(models_.back()));  // of the round before, or of the last one that was not skipped
      refused_since(models.back());
      break;
    case plan::SumKind::kValidate: {
      const size_t last = static_cast<size_t>(std::max(experiment_.ensemble.candidates_last, 1));
      const size_t first = models_.size() > last ? models_.size() - last : 1;
      for (size_t i = std::max<size_t>(first, 1); i < models_.size(); ++i) {
        models.push_back(global(models_[i]));
      }
      if (!models.empty()) {
        refused_since(models.back());
      }
      for (const auto& [site, baseline] : baselines_) {
        if (models.size() == wire::kMaxModels) {
          break;  // the others' sites compare with their own, which nobody else scores
        }
        models.push_back({plan::BaselineModelId(site.value()),
                          wire::ModelKind::kBaseline,
                          baseline.blob,
                          baseline.size_bytes,
                          site,
                          {},
                          {}});
      }
      break;
    }
    case plan::SumKind::kCalibrate:
      for (const std::string& id : machine_.members()) {
        const auto found =
            std::find_if(models_.begin(), models_.end(), [&](const ModelRecord& model) { return model.id == id; });
        if (found != models_.end()) {
          models.push_back(global(*found));
        }
      }
      break;
  }
  return models;
}

std::vector<plan::SumModel> Job::PlanModels(plan::SumKind kind) const {
  std::vector<plan::SumModel> models;
  for (const wire::ModelRef& model : SumModels(kind)) {
    models.push_back({model.id, model.kind == wire::ModelKind::kBaseline, model.blob});
  }
  return models;
}

secagg::GraphReveals Job::Reveals() const {
  secagg::GraphReveals reveals;
  for (const auto& [site, participant] : machine_.sites()) {
    if (participant.graph_reveal.has_value()) {
      reveals.emplace(site, Bytes(participant.graph_reveal->view()));
    }
  }
  return reveals;
}

absl::Status Job::PutOnGraph(secagg::SumParams& params) const {
  const SiteSet participants = machine_.Participants();
  if (participants.size() <= size_t{secagg::kFullGraphSites}) {
    return absl::OkStatus();
  }
  secagg::GraphCommits commits;
  for (const SiteId& site : participants) {
    CLOISTER_ASSIGN_OR_RETURN(const plan::Acceptance acceptance, plan::ParseAcceptance(acceptances_.at(site).document));
    commits.emplace(site, acceptance.graph_commitment);
  }
  CLOISTER_ASSIGN_OR_RETURN(const Digest seed, secagg::CombineGraphReveals(stored_.job, commits, Reveals()));
  plan::UseSparseGraph(experiment_, {participants.begin(), participants.end()}, seed, params);
  return absl::OkStatus();
}

absl::Status Job::OpenSum() {
  const Sum* sum = machine_.sum();
  if (sum == nullptr) {
    return absl::AbortedError("no sum is going on: " + machine_.Message());
  }
  if (active_ != nullptr && active_->key == sum->key) {
    return absl::OkStatus();
  }
  active_.reset();
  const std::vector<plan::SumModel> models = PlanModels(sum->key.kind);
  const plan::SumName name{stored_.job, sum->key.kind, sum->key.round, sum->key.attempt};
  secagg::SumParams params;
  if (sum->key.kind == plan::SumKind::kTrain) {
    CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel global,
                              update::MappedModel::Open(context_->blobs->Path(models.front().blob)));
    params = plan::SumParamsOf(experiment_, stored_.plan_digest, name, models, global.values());
  } else {
    params = plan::SumParamsOf(experiment_, stored_.plan_digest, name, models);
  }
  CLOISTER_RETURN_IF_ERROR(PutOnGraph(params));
  const SiteSet participants = machine_.Accepted();
  CLOISTER_ASSIGN_OR_RETURN(
      secagg::ServerSession session,
      secagg::ServerSession::Create({params, context_->ca, {participants.begin(), participants.end()}, sum->started}));

  // What was stored, in its order; phases end where the next one's messages begin.
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<StoredSumMessage> messages,
                            LoadSumMessages(*context_->database, stored_.job, sum->key));
  for (const StoredSumMessage& message : messages) {
    while (WirePhase(session.phase()) < message.phase) {
      CLOISTER_RETURN_IF_ERROR(session.Close());
    }
    CLOISTER_RETURN_IF_ERROR(session.Handle(message.site, message.message));
  }
  while (WirePhase(session.phase()) < sum->phase) {
    CLOISTER_RETURN_IF_ERROR(session.Close());
  }
  if (sum->finishing) {
    CLOISTER_RETURN_IF_ERROR(session.Close());
  }
  active_.reset(new ActiveSum{sum->key, SumModels(sum->key.kind), std::move(params), std::move(session)});
  return absl::OkStatus();
}

absl::Status Job::TakeSumMessage(const SiteId& site, const wire::SumMessage& message) {
  SumAnswered answered{
      {static_cast<plan::SumKind>(message.kind), message.round, message.attempt}, message.phase, site, false};
  const StoredSumMessage row{message.phase, site, message.message, message.vectors};
  // Would it be taken? Asked before any work is done for it.
  const absl::StatusOr<bool> is_new = machine_.Takes(answered);
  if (!is_new.ok() || !*is_new) {
    // A site whose last reply was lost says it again: fine, if it says the same.
    CLOISTER_ASSIGN_OR_RETURN(const bool taken, HasSumMessage(*context_->database, stored_.job, answered.sum, row));
    if (taken) {
      return absl::OkStatus();
    }
    return is_new.ok() ? absl::FailedPreconditionError(fmt::format("{}: {} has sent something else in this phase",
                                                                   NameOf(answered.sum), site.value()))
                       : is_new.status();
  }
  if (const absl::Status opened = OpenSum(); !opened.ok()) {
    return absl::UnavailableError(opened.message());  // the message itself is not judged yet
  }
  if (message.phase == wire::SumPhase::kMask) {
    CLOISTER_RETURN_IF_ERROR(CheckVectors(site, message));
  }
  if (absl::Status status = active_->session.Handle(site, message.message); !status.ok()) {
    Log()->warn("{}: {} of {} is refused: {}", stored_.job.value(), NameOf(answered.sum), site.value(),
                std::string(status.message()));
    return status;
  }
  answered.enough = message.phase == wire::SumPhase::kUnmask && active_->session.CanClose().ok();
  const absl::Status stored = CommitAnswer(answered, [&](storage::Transaction& transaction) {
    return AppendSumMessage(transaction, stored_.job, answered.sum, facts_, row);
  });
  if (!stored.ok()) {
    active_.reset();  // it has heard what is not stored: it is made again from what is
    return stored;
  }
  return absl::OkStatus();
}

// The uploaded blobs are there, of the right size, and what the commit says.
absl::Status Job::CheckVectors(const SiteId& site, const wire::SumMessage& message) const {
  CLOISTER_ASSIGN_OR_RETURN(const secagg::MaskedCommit commit, secagg::DecodeMaskedCommit(message.message));
  const std::vector<secagg::VectorSpec>& specs = active_->params.vectors;
  if (commit.vectors.size() != specs.size() || message.vectors.size() != specs.size()) {
    return absl::InvalidArgumentError(fmt::format("{} commits to {} vectors and names {} blobs; the plan has {}",
                                                  site.value(), commit.vectors.size(), message.vectors.size(),
                                                  specs.size()));
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const uint64_t expected = specs[i].length * secagg::ElementBytes(specs[i].ring_bits);
    const absl::StatusOr<uint64_t> size = context_->blobs->SizeBytes(message.vectors[i]);
    if (!size.ok()) {
      return absl::FailedPreconditionError(fmt::format("upload the masked vector \"{}\" first: {} is not here",
                                                       specs[i].name, message.vectors[i].short_hex()));
    }
    if (*size != expected || commit.vectors[i].length != specs[i].length) {
      return absl::InvalidArgumentError(fmt::format("masked vector \"{}\" of {}: {} bytes instead of {}", specs[i].name,
                                                    site.value(), *size, expected));
    }
    if (message.vectors[i] != commit.vectors[i].digest) {  // the store has checked that the bytes have their name
      return absl::DataLossError(
          fmt::format("masked vector \"{}\" of {} is not the one it commits to", specs[i].name, site.value()));
    }
  }
  return absl::OkStatus();
}

absl::Status Job::DoClosePhase(const ClosePhase& action) {
  CLOISTER_RETURN_IF_ERROR(OpenSum());
  if (WirePhase(active_->session.phase()) != action.phase) {
    return absl::InternalError(fmt::format("{}: session and machine are in different phases", NameOf(action.sum)));
  }
  const absl::Status closed = active_->session.Close();
  for (const secagg::Blame& blame : active_->session.blames()) {
    Log()->warn("{}: {}: {}: {}", stored_.job.value(), NameOf(action.sum), blame.site.value(), blame.what);
  }
  if (!closed.ok()) {
    // Only here it is beyond doubt who: what this site dealt and signed contradicts what it advertised.
    std::optional<SiteId> culprit;
    if (absl::IsDataLoss(closed) && action.phase == wire::SumPhase::kUnmask && !active_->session.blames().empty()) {
      culprit = active_->session.blames().back().site;
    }
    return Commit(SumBroken{action.sum, std::string(closed.message()), culprit});
  }
  const absl::Status stored = Commit(PhaseClosed{action.sum, action.phase, active_->session.Awaited()});
  if (!stored.ok()) {
    active_.reset();
  }
  return stored;
}

// What takes long at the end of a sum, off the owner thread: it reads what no longer changes and touches nothing of the
// job.
struct Job::Finishing {
  // ---- given ----
  SumKey sum;
  std::shared_ptr<ActiveSum> active;
  std::vector<std::vector<std::filesystem::path>> spooled;  // [survivor][vector]
  std::filesystem::path result_path;
  std::filesystem::path model_path;
  Digest parent;

  // ---- made, and read once `done` ----
  absl::Status status;
  std::vector<uint64_t> counters;  // the totals of the last vector
  plan::AggregateVerdict verdict;  // TRAIN
  Digest result;                   // TRAIN: the blobs
  Digest model;
  std::atomic<bool> done{false};

  absl::Status Run(const JobContext& context, const plan::Experiment& experiment) {
    CLOISTER_ASSIGN_OR_RETURN(const secagg::Unmasker* unmasker, active->session.unmasker());
    CLOISTER_ASSIGN_OR_RETURN(const secagg::ServerSession::Published published, active->session.published());
    const plan::SumResultHeader header{published.ctx2, published.survivors, published.tag, active->params.vectors};
    const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    CLOISTER_RETURN_IF_ERROR(SumUp(spooled, *unmasker, header, result_path, threads));
    CLOISTER_ASSIGN_OR_RETURN(const plan::SumResult totals, plan::SumResult::Open(result_path));
    const absl::Span<const uint64_t> last = totals.Values64(header.vectors.size() - 1);
    counters.assign(last.begin(), last.end());
    if (sum.kind != plan::SumKind::kTrain) {
      std::error_code ignored;
      std::filesystem::remove(result_path, ignored);
      return absl::OkStatus();
    }
    absl::StatusOr<Digest> stored;
    std::thread storing([&] { stored = context.blobs->PutFile(result_path, storage::BlobStore::Take::kMove); });
    const absl::Status made = MakeModel(context, experiment, totals);
    storing.join();
    CLOISTER_RETURN_IF_ERROR(made);
    CLOISTER_ASSIGN_OR_RETURN(result, std::move(stored));
    return absl::OkStatus();
  }

  // Unless the totals break a guard. DATA_LOSS: no honest site gives such totals.
  absl::Status MakeModel(const JobContext& context, const plan::Experiment& experiment, const plan::SumResult& totals) {
    for (const uint64_t counter : counters) {
      if (counter >= plan::kImpossibleCounter) {
        return absl::DataLossError("a counter is impossibly large: a site lies about its cases");
      }
    }
    CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel global, update::MappedModel::Open(context.blobs->Path(parent)));
    std::optional<update::MappedModel> before;
    CLOISTER_ASSIGN_OR_RETURN(const std::optional<Digest> wanted, plan::ModelBefore(experiment, global));
    if (wanted.has_value()) {
      CLOISTER_ASSIGN_OR_RETURN(before, update::MappedModel::Open(context.blobs->Path(*wanted)));
    }
    CLOISTER_ASSIGN_OR_RETURN(verdict, plan::JudgeAggregate(experiment, global, before.has_value() ? &*before : nullptr,
                                                            totals.Values(0), counters));
    if (!verdict.broken.empty()) {
      return absl::OkStatus();
    }
    CLOISTER_ASSIGN_OR_RETURN(const auto lineage, plan::NextLineage(experiment, global, parent, verdict));
    CLOISTER_ASSIGN_OR_RETURN(
        model, plan::WriteNextModel(model_path, experiment, global, totals.Values(0), counters, lineage));
    return context.blobs->Adopt(model_path, model);
  }
};

absl::Status Job::StartFinishing(const SumKey& sum) {
  auto finishing = std::make_shared<Finishing>();
  finishing->sum = sum;
  finishing->active = active_;
  finishing->result_path = context_->folder / ("result-" + stored_.job.value());
  finishing->model_path = context_->folder / ("next-model-" + stored_.job.value());
  finishing->parent = models_.back().digest;
  const std::vector<SiteId> survivors = active_->session.survivors();
  CLOISTER_ASSIGN_OR_RETURN(const auto vectors, LoadSumVectors(*context_->database, stored_.job, active_->key));
  for (const auto& [site, digests] : vectors) {
    if (!std::binary_search(survivors.begin(), survivors.end(), site)) {
      continue;
    }
    finishing->spooled.emplace_back();
    for (const Digest& vector : digests) {
      finishing->spooled.back().push_back(context_->blobs->Path(vector));
    }
  }
  if (finishing->spooled.size() != survivors.size()) {
    return absl::DataLossError("the masked vectors of the survivors are not all there");
  }
  finishing_ = finishing;
  InBackground([finishing, context = context_, experiment = experiment_] {
    finishing->status = finishing->Run(*context, experiment);
    finishing->done = true;
  });
  return absl::OkStatus();
}

void Job::InBackground(std::function<void()> work) const {
  context_->in_background ? context_->in_background(std::move(work)) : work();
}

bool Job::IsFinishing() const {
  return finishing_ != nullptr && !finishing_->done;
}

absl::Status Job::DoFinishSum(const FinishSum& action) {
  if (finishing_ == nullptr || !(finishing_->sum == action.sum)) {
    CLOISTER_RETURN_IF_ERROR(OpenSum());
    if (const absl::Status started = StartFinishing(action.sum); !started.ok()) {
      return IsOurTrouble(started) ? started : Commit(SumBroken{action.sum, std::string(started.message()), {}});
    }
  }
  if (IsFinishing()) {
    return absl::OkStatus();
  }
  const std::shared_ptr<Finishing> finished = std::move(finishing_);
  if (!finished->status.ok()) {
    return IsOurTrouble(finished->status) ? finished->status
                                          : Commit(SumBroken{action.sum, std::string(finished->status.message()), {}});
  }
  if (action.sum.kind != plan::SumKind::kTrain) {
    return TakeHistograms(*finished);
  }
  return finished->verdict.broken.empty() ? TakeModel(*finished) : TakeRefusal(*finished);
}

absl::Status Job::TakeModel(const Finishing& finished) {
  CLOISTER_ASSIGN_OR_RETURN(const plan::TrainCounters counters, plan::DecodeTrainCounters(finished.counters));
  ModelRecord model;
  model.job = stored_.job;
  model.id = plan::RoundModelId(static_cast<int>(finished.sum.round));
  model.round = finished.sum.round;
  model.digest = finished.model;
  CLOISTER_ASSIGN_OR_RETURN(model.size_bytes, context_->blobs->SizeBytes(model.digest));
  model.parent = finished.parent;
  model.result = finished.result;
  model.samples = counters.samples;
  model.sites = finished.active->session.survivors();
  model.loss = counters.samples > 0 ? counters.loss_sum / static_cast<double>(counters.samples) : 0;
  model.made_ms = absl::ToUnixMillis(context_->clock->Now());
  const std::string note =
      fmt::format("{} samples, loss {:.4f}, model {}", model.samples, model.loss, model.digest.short_hex());
  CLOISTER_RETURN_IF_ERROR(
      Commit(SumFinished{finished.sum, note}, [&](storage::Transaction& transaction) -> absl::Status {
        CLOISTER_RETURN_IF_ERROR(PutModel(transaction, model));
        return Audit(transaction, "coordinator", "aggregate", "model", model.size_bytes, model.digest);
      }));
  models_.push_back(std::move(model));
  return absl::OkStatus();
}

absl::Status Job::TakeRefusal(const Finishing& finished) {
  CLOISTER_ASSIGN_OR_RETURN(const plan::TrainCounters counters, plan::DecodeTrainCounters(finished.counters));
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t size_bytes, context_->blobs->SizeBytes(finished.result));
  const RefusedAggregate refused{finished.verdict.broken, finished.parent, finished.result};
  return Commit(SumFinished{finished.sum, fmt::format("{} samples", counters.samples), refused},
                [&](storage::Transaction& transaction) {
                  return Audit(transaction, "coordinator", "refuse aggregate: " + refused.why, "sum_result", size_bytes,
                               refused.result);
                });
}

absl::Status Job::TakeHistograms(const Finishing& finished) {
  const StoredTotal total{finished.counters, finished.active->session.survivors()};
  return Commit(SumFinished{finished.sum, ""}, [&](storage::Transaction& transaction) {
    return PutTotal(transaction, stored_.job, finished.sum, total);
  });
}

void Job::DropSum() {
  active_.reset();
  finishing_.reset();
  DropVectors();
}

void Job::DropVectors() {
  const absl::StatusOr<std::vector<StoredUpload>> uploads = LoadUploads(*context_->database);
  if (!uploads.ok()) {
    return;  // the sweep at the next start finds them
  }
  DigestSet needed;
  AddReferences(needed);
  std::vector<Digest> over;
  for (const StoredUpload& upload : *uploads) {
    if (upload.purpose == wire::BlobPurpose::kMaskedVector && upload.job == stored_.job.value() &&
        needed.count(upload.digest) == 0) {
      over.push_back(upload.digest);
    }
  }
  const auto forget = [&](storage::Transaction& transaction) {
    absl::Status status;
    for (const Digest& digest : over) {
      status.Update(ForgetUpload(transaction, digest));
    }
    return status;
  };
  if (const absl::Status status = Store(forget, storage::Durable::kWithNext); !status.ok()) {
    Log()->warn("{}: masked vectors stay on the disk: {}", stored_.job.value(), std::string(status.message()));
    return;
  }
  InBackground([blobs = context_->blobs, job = stored_.job, over] {
    for (const Digest& digest : over) {
      if (const absl::Status status = blobs->Remove(digest); !status.ok()) {
        Log()->warn("{}: a masked vector stays on the disk: {}", job.value(), std::string(status.message()));
      }
    }
  });
}

void Job::SetAsideTakenBack() {
  for (const SumKey& lost : machine_.taken_back()) {
    const auto found = std::find_if(models_.begin(), models_.end(), [&](const ModelRecord& model) {
      return model.round == lost.round && model.result.has_value();
    });
    if (found != models_.end()) {
      set_aside_.push_back(std::move(*found));
      models_.erase(found);
    }
  }
}

}  // namespace cloister::coordinator
