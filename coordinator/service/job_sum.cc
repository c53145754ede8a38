// SPDX-License-Identifier: Apache-2.0
// The secure sums of an experiment: messages in, masked vectors from the spool into one total, a new model or
// histograms out.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "coordinator/service/active_sum.h"
#include "coordinator/storage/sum_store.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/next_model.h"
#include "protocols/plan/sum_result.h"
#include "protocols/secagg/messages.h"
#include "protocols/update/model_state.h"

namespace cloister::coordinator {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;

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
  switch (kind) {
    case plan::SumKind::kTrain:
      models.push_back(global(models_.back()));  // of the round before, or of the last one that was not skipped
      break;
    case plan::SumKind::kValidate: {
      const size_t last = static_cast<size_t>(std::max(experiment_.ensemble.candidates_last, 1));
      const size_t first = models_.size() > last ? models_.size() - last : 1;
      for (size_t i = std::max<size_t>(first, 1); i < models_.size(); ++i) {
        models.push_back(global(models_[i]));
      }
      for (const auto& [site, baseline] : baselines_) {
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
  active_.reset(new ActiveSum{sum->key, SumModels(sum->key.kind), std::move(params), std::move(session), nullptr, {}});
  return absl::OkStatus();
}

absl::Status Job::TakeSumMessage(const SiteId& site, const wire::SumMessage& message) {
  SumAnswered answered{
      {static_cast<plan::SumKind>(message.kind), message.round, message.attempt}, message.phase, site, false};
  const StoredSumMessage row{message.phase, site, message.message, message.vectors};
  {  // Would it be taken? Asked before any work is done for it.
    ExperimentMachine trial = machine_;
    const absl::StatusOr<Step> step = trial.Handle(context_->clock->Now(), answered);
    if (!step.ok() || step->facts.empty()) {
      // A site whose last reply was lost says it again: fine, if it says the same.
      CLOISTER_ASSIGN_OR_RETURN(const bool taken, HasSumMessage(*context_->database, stored_.job, answered.sum, row));
      if (taken) {
        return absl::OkStatus();
      }
      return step.ok() ? absl::FailedPreconditionError(fmt::format("{}: {} has sent something else in this phase",
                                                                   NameOf(answered.sum), site.value()))
                       : step.status();
    }
  }
  if (const absl::Status opened = OpenSum(); !opened.ok()) {
    return absl::UnavailableError(opened.message());  // the message itself is not judged yet
  }
  const bool masked = message.phase == wire::SumPhase::kMask;
  if (masked) {
    CLOISTER_RETURN_IF_ERROR(CheckVectors(site, message));
  }
  if (absl::Status status = active_->session.Handle(site, message.message); !status.ok()) {
    Log()->warn("{}: {} of {} is refused: {}", stored_.job.value(), NameOf(answered.sum), site.value(),
                std::string(status.message()));
    return status;
  }
  answered.enough = message.phase == wire::SumPhase::kUnmask && active_->session.CanClose().ok();
  const absl::Status stored = Commit(answered, [&](storage::Transaction& transaction) {
    return AppendSumMessage(transaction, stored_.job, answered.sum, row);
  });
  if (!stored.ok()) {
    active_.reset();  // it has heard what is not stored: it is made again from what is
    return stored;
  }
  if (masked && active_ != nullptr) {
    if (absl::Status added = AddVectors(site, message.vectors); !added.ok()) {
      Log()->warn("{}: adding up is put off: {}", stored_.job.value(), std::string(added.message()));
    }
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
    const uint64_t expected = specs[i].length * static_cast<uint64_t>(specs[i].ring_bits / 8);
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

// Adds a site's spooled vectors to the total. After an error the total is made anew before it is used.
absl::Status Job::AddVectors(const SiteId& site, const std::vector<Digest>& vectors) {
  ActiveSum& active = *active_;
  if (active.total == nullptr) {
    active.total = std::make_unique<MaskedTotal>(active.params.vectors);
    active.added.clear();
  }
  const auto add = [&]() -> absl::Status {
    std::string buffer(kReadBytes, '\0');
    for (size_t i = 0; i < vectors.size(); ++i) {
      const std::filesystem::path path = context_->blobs->Path(vectors[i]);
      std::ifstream file(path, std::ios::binary);
      const uint64_t width = static_cast<uint64_t>(active.params.vectors[i].ring_bits / 8);
      const uint64_t size = active.total->SizeBytes(i);
      for (uint64_t at = 0; at < size;) {
        const size_t want = std::min<uint64_t>(buffer.size(), size - at);
        if (!file.read(buffer.data(), static_cast<std::streamsize>(want))) {
          return absl::UnavailableError("cannot read " + path.string());
        }
        CLOISTER_RETURN_IF_ERROR(active.total->Add(i, at / width, ByteView(buffer).substr(0, want)));
        at += want;
      }
    }
    return absl::OkStatus();
  };
  const absl::Status status = add();
  if (status.ok()) {
    active.added.insert(site);
  } else {
    active.total.reset();
  }
  return status;
}

absl::Status Job::CompleteTotal() {
  const std::vector<SiteId> list = active_->session.survivors();
  const SiteSet survivors(list.begin(), list.end());
  const bool foreign = std::any_of(active_->added.begin(), active_->added.end(),
                                   [&](const SiteId& site) { return survivors.count(site) == 0; });
  if (foreign) {
    active_->total.reset();
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<StoredSumMessage> messages,
                            LoadSumMessages(*context_->database, stored_.job, active_->key));
  for (const StoredSumMessage& message : messages) {
    const bool needed = message.phase == wire::SumPhase::kMask && survivors.count(message.site) > 0 &&
                        (active_->total == nullptr || active_->added.count(message.site) == 0);
    if (needed) {
      CLOISTER_RETURN_IF_ERROR(AddVectors(message.site, message.vectors));
    }
  }
  if (active_->total == nullptr || active_->added != survivors) {
    return absl::DataLossError("the masked vectors of the survivors are not all there");
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

absl::Status Job::DoFinishSum(const FinishSum& action) {
  CLOISTER_RETURN_IF_ERROR(OpenSum());
  const auto finish = [&]() -> absl::Status {
    CLOISTER_RETURN_IF_ERROR(CompleteTotal());
    CLOISTER_ASSIGN_OR_RETURN(const secagg::Unmasker* unmasker, active_->session.unmasker());
    CLOISTER_RETURN_IF_ERROR(active_->total->Unmask(*unmasker));
    return action.sum.kind == plan::SumKind::kTrain ? FinishTraining(action.sum) : FinishHistograms(action.sum);
  };
  const absl::Status status = finish();
  if (status.ok()) {
    return status;
  }
  if (active_ != nullptr) {
    active_->total.reset();  // it may be half unmasked
  }
  return IsOurTrouble(status) ? status : Commit(SumBroken{action.sum, std::string(status.message()), {}});
}

// The totals as a blob that sites fetch and check.
absl::StatusOr<Digest> Job::PublishTotals() {
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ServerSession::Published published, active_->session.published());
  const std::filesystem::path path = context_->folder / ("result-" + stored_.job.value());
  CLOISTER_RETURN_IF_ERROR(plan::WriteSumResult(
      path, {published.ctx2, published.survivors, published.tag, active_->params.vectors}, active_->total->Values()));
  return context_->blobs->PutFile(path, storage::BlobStore::Take::kMove);
}

absl::Status Job::FinishTraining(const SumKey& sum) {
  CLOISTER_ASSIGN_OR_RETURN(const plan::TrainCounters counters, plan::DecodeTrainCounters(active_->total->Values64(1)));
  const ModelRecord& parent = models_.back();
  const std::filesystem::path path = context_->folder / ("next-model-" + stored_.job.value());
  {
    CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel global,
                              update::MappedModel::Open(context_->blobs->Path(parent.digest)));
    CLOISTER_RETURN_IF_ERROR(
        plan::WriteNextModel(path, experiment_, global, active_->total->Values32(0), active_->total->Values64(1)));
  }
  ModelRecord model;
  model.job = stored_.job;
  model.id = plan::RoundModelId(static_cast<int>(sum.round));
  model.round = sum.round;
  CLOISTER_ASSIGN_OR_RETURN(model.digest, context_->blobs->PutFile(path, storage::BlobStore::Take::kMove));
  CLOISTER_ASSIGN_OR_RETURN(model.size_bytes, context_->blobs->SizeBytes(model.digest));
  model.parent = parent.digest;
  CLOISTER_ASSIGN_OR_RETURN(model.result, PublishTotals());
  model.samples = counters.samples;
  model.sites = active_->session.survivors();
  model.loss = counters.samples > 0 ? counters.loss_sum / static_cast<double>(counters.samples) : 0;
  model.made_ms = absl::ToUnixMillis(context_->clock->Now());
  const std::string note =
      fmt::format("{} samples, loss {:.4f}, model {}", model.samples, model.loss, model.digest.short_hex());
  CLOISTER_RETURN_IF_ERROR(Commit(SumFinished{sum, note}, [&](storage::Transaction& transaction) -> absl::Status {
    CLOISTER_RETURN_IF_ERROR(PutModel(transaction, model));
    return Audit(transaction, "coordinator", "aggregate", "model", model.size_bytes, model.digest);
  }));
  models_.push_back(std::move(model));
  return absl::OkStatus();
}

absl::Status Job::FinishHistograms(const SumKey& sum) {
  const StoredTotal total{active_->total->Values64(0), active_->session.survivors()};
  return Commit(SumFinished{sum, ""},
                [&](storage::Transaction& transaction) { return PutTotal(transaction, stored_.job, sum, total); });
}

void Job::DropSum() {
  active_.reset();
  const absl::StatusOr<std::vector<StoredUpload>> uploads = LoadUploads(*context_->database);
  if (!uploads.ok()) {
    return;  // the sweep at the next start finds them
  }
  DigestSet needed;
  AddReferences(needed);
  for (const StoredUpload& upload : *uploads) {
    if (upload.purpose != wire::BlobPurpose::kMaskedVector || upload.job != stored_.job.value() ||
        needed.count(upload.digest) > 0) {
      continue;
    }
    absl::Status status = context_->blobs->Remove(upload.digest);
    if (status.ok()) {
      absl::StatusOr<storage::Transaction> transaction = context_->database->Begin();
      status = transaction.ok() ? ForgetUpload(*transaction, upload.digest) : transaction.status();
      if (status.ok()) {
        status = transaction->Commit();
      }
    }
    if (!status.ok()) {
      Log()->warn("{}: a masked vector stays on the disk: {}", stored_.job.value(), std::string(status.message()));
    }
  }
}

}  // namespace cloister::coordinator
