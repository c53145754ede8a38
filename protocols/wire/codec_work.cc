// SPDX-License-Identifier: Apache-2.0
// Codecs of what the coordinator has open for a site, and the text checks of check.h.
#include "protocols/wire/check.h"
#include "protocols/wire/codec.h"

namespace cloister::wire {

absl::StatusOr<std::string> TakeText(const std::string& text, size_t most, const char* what) {
  CLOISTER_RETURN_IF_ERROR(CheckSize(text.size(), most, what));
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return absl::InvalidArgumentError(fmt::format("{}: holds a control character", what));
    }
  }
  return text;
}

std::string CleanText(std::string text, size_t most) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      c = ' ';
    }
  }
  if (text.size() > most) {
    size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
      --end;  // inside a UTF-8 character
    }
    text.resize(end);
  }
  return text;
}

absl::StatusOr<PullRequest> Decode(const v1::PullWorkRequest& message) {
  PullRequest request;
  request.known_version = message.known_version();
  request.wait_ms = std::min(message.wait_ms(), kMaxWaitMs);
  CLOISTER_ASSIGN_OR_RETURN(request.agent_version,
                            TakeText(message.agent_version(), kMaxVersionTextBytes, "agent_version"));
  return request;
}

v1::PullWorkRequest Encode(const PullRequest& request) {
  v1::PullWorkRequest message;
  message.set_known_version(request.known_version);
  message.set_wait_ms(request.wait_ms);
  message.set_agent_version(CleanText(request.agent_version, kMaxVersionTextBytes));
  return message;
}

absl::StatusOr<SignedDocument> Decode(const v1::SignedDocument& message) {
  CLOISTER_RETURN_IF_ERROR(CheckSize(message.document().size(), kMaxDocumentBytes, "signed document"));
  CLOISTER_RETURN_IF_ERROR(CheckSize(message.certificate().size(), kMaxCertificateBytes, "signer's certificate"));
  if (message.document().empty() || message.certificate().empty()) {
    return absl::InvalidArgumentError("signed document: the document or the certificate is empty");
  }
  if (message.signature().size() != kSignatureBytes) {
    return absl::InvalidArgumentError(
        fmt::format("signed document: a signature of {} bytes, not {}", message.signature().size(), kSignatureBytes));
  }
  return SignedDocument{message.document(), message.signature(), message.certificate()};
}

v1::SignedDocument Encode(const SignedDocument& document) {
  v1::SignedDocument message;
  message.set_document(document.document);
  message.set_signature(document.signature);
  message.set_certificate(document.certificate);
  return message;
}

namespace {

absl::StatusOr<SumOrigin> DecodeOrigin(const v1::SumOrigin& message) {
  SumOrigin origin;
  CLOISTER_ASSIGN_OR_RETURN(origin.parent, TakeDigest(message.parent(), "parent of a model"));
  CLOISTER_ASSIGN_OR_RETURN(origin.result, TakeDigest(message.result(), "result of a sum"));
  origin.round = message.round();
  return origin;
}

absl::StatusOr<ModelRef> DecodeModel(const v1::ModelRef& message) {
  ModelRef model;
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(message.id(), "model id"));
  model.id = message.id();
  CLOISTER_ASSIGN_OR_RETURN(model.kind, TakeEnum<ModelKind>(message.kind(), v1::ModelKind_IsValid, "model kind"));
  CLOISTER_ASSIGN_OR_RETURN(model.blob, TakeDigest(message.blob(), "model blob"));
  if (message.size_bytes() == 0 || message.size_bytes() > kMaxBlobBytes) {
    return absl::InvalidArgumentError(
        fmt::format("model {}: {} bytes, allowed 1 to {}", model.id, message.size_bytes(), kMaxBlobBytes));
  }
  model.size_bytes = message.size_bytes();
  const bool sealed = model.kind == ModelKind::kBaseline;
  if (sealed != !message.origin_site().empty() || sealed != !message.sealed_key().empty()) {
    return absl::InvalidArgumentError(
        fmt::format("model {}: a baseline, and only a baseline, has an origin and a sealed key", model.id));
  }
  if (sealed && (message.has_made_by() || message.refused_size() > 0)) {
    return absl::InvalidArgumentError(fmt::format("model {}: a baseline is made by no sum", model.id));
  }
  if (message.has_made_by()) {
    CLOISTER_ASSIGN_OR_RETURN(model.made_by, DecodeOrigin(message.made_by()));
  }
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.refused_size(), kMaxRefusedRounds, "refused rounds of a model"));
  for (const v1::SumOrigin& refused : message.refused()) {
    CLOISTER_ASSIGN_OR_RETURN(const SumOrigin origin, DecodeOrigin(refused));
    model.refused.push_back(origin);
  }
  if (sealed) {
    CLOISTER_ASSIGN_OR_RETURN(model.origin_site, TakeId<SiteId>(message.origin_site(), "model's origin"));
    CLOISTER_RETURN_IF_ERROR(CheckSize(message.sealed_key().size(), kMaxSealedKeyBytes, "model's sealed key"));
    model.sealed_key = message.sealed_key();
  }
  return model;
}

absl::StatusOr<WorkItem> DecodeOffer(const v1::ExperimentOffer& message) {
  ExperimentOffer offer;
  CLOISTER_ASSIGN_OR_RETURN(offer.job, TakeId<JobId>(message.job_id(), "experiment offer"));
  CLOISTER_ASSIGN_OR_RETURN(offer.plan, Decode(message.plan()));
  return WorkItem(std::move(offer));
}

absl::StatusOr<WorkItem> DecodeBaseline(const v1::BaselineTask& message) {
  BaselineTask task;
  CLOISTER_ASSIGN_OR_RETURN(task.job, TakeId<JobId>(message.job_id(), "baseline task"));
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.acceptances_size(), kMaxSites, "acceptances"));
  for (const v1::SignedDocument& acceptance : message.acceptances()) {
    CLOISTER_ASSIGN_OR_RETURN(SignedDocument document, Decode(acceptance));
    task.acceptances.push_back(std::move(document));
  }
  return WorkItem(std::move(task));
}

absl::StatusOr<WorkItem> DecodeGraphSeed(const v1::GraphSeedTask& message) {
  GraphSeedTask task;
  CLOISTER_ASSIGN_OR_RETURN(task.job, TakeId<JobId>(message.job_id(), "graph seed task"));
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.acceptances_size(), kMaxSites, "acceptances"));
  for (const v1::SignedDocument& acceptance : message.acceptances()) {
    CLOISTER_ASSIGN_OR_RETURN(SignedDocument document, Decode(acceptance));
    task.acceptances.push_back(std::move(document));
  }
  return WorkItem(std::move(task));
}

absl::StatusOr<WorkItem> DecodeStep(const v1::SumStep& message) {
  SumStep step;
  CLOISTER_ASSIGN_OR_RETURN(step.job, TakeId<JobId>(message.job_id(), "sum step"));
  CLOISTER_ASSIGN_OR_RETURN(step.kind, TakeEnum<SumKind>(message.kind(), v1::SumKind_IsValid, "sum kind"));
  CLOISTER_ASSIGN_OR_RETURN(step.phase, TakeEnum<SumPhase>(message.phase(), v1::SumPhase_IsValid, "sum phase"));
  step.round = message.round();
  step.attempt = message.attempt();
  CLOISTER_RETURN_IF_ERROR(CheckSize(message.message().size(), kMaxSecaggMessageBytes, "secure sum message"));
  if (step.phase != SumPhase::kAdvertise && message.message().empty()) {
    return absl::InvalidArgumentError("sum step: only ADVERTISE has no message");
  }
  step.message = message.message();
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.models_size(), kMaxModels, "models of a sum step"));
  for (const v1::ModelRef& reference : message.models()) {
    CLOISTER_ASSIGN_OR_RETURN(ModelRef model, DecodeModel(reference));
    step.models.push_back(std::move(model));
  }
  step.deadline_unix_ms = message.deadline_unix_ms();
  return WorkItem(std::move(step));
}

absl::StatusOr<WorkItem> DecodeRelease(const v1::ReleaseOffer& message) {
  ReleaseOffer offer;
  CLOISTER_ASSIGN_OR_RETURN(offer.job, TakeId<JobId>(message.job_id(), "release offer"));
  CLOISTER_ASSIGN_OR_RETURN(offer.manifest, Decode(message.manifest()));
  return WorkItem(std::move(offer));
}

absl::StatusOr<WorkItem> DecodeClosed(const v1::ExperimentClosed& message) {
  ExperimentClosed closed;
  CLOISTER_ASSIGN_OR_RETURN(closed.job, TakeId<JobId>(message.job_id(), "closed experiment"));
  if (message.phase() != "released" && message.phase() != "failed" && message.phase() != "aborted" &&
      message.phase() != "closed") {
    return absl::InvalidArgumentError("closed experiment: the phase is none of released, failed, aborted, closed");
  }
  closed.phase = message.phase();
  CLOISTER_ASSIGN_OR_RETURN(closed.reason, TakeText(message.reason(), kMaxTextBytes, "reason"));
  return WorkItem(std::move(closed));
}

}  // namespace

absl::StatusOr<WorkItem> Decode(const v1::WorkItem& message) {
  switch (message.work_case()) {
    case v1::WorkItem::kOffer:
      return DecodeOffer(message.offer());
    case v1::WorkItem::kBaseline:
      return DecodeBaseline(message.baseline());
    case v1::WorkItem::kSum:
      return DecodeStep(message.sum());
    case v1::WorkItem::kRelease:
      return DecodeRelease(message.release());
    case v1::WorkItem::kClosed:
      return DecodeClosed(message.closed());
    case v1::WorkItem::kGraphSeed:
      return DecodeGraphSeed(message.graph_seed());
    case v1::WorkItem::WORK_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("work item: of a kind this version does not know");
}

absl::StatusOr<Work> Decode(const v1::PullWorkReply& message) {
  Work work;
  work.version = message.version();
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.items_size(), kMaxItems, "work items"));
  for (const v1::WorkItem& entry : message.items()) {
    CLOISTER_ASSIGN_OR_RETURN(WorkItem item, Decode(entry));
    work.items.push_back(std::move(item));
  }
  return work;
}

namespace {

v1::SumOrigin EncodeOrigin(const SumOrigin& origin) {
  v1::SumOrigin message;
  message.set_parent(std::string(origin.parent.view()));
  message.set_result(std::string(origin.result.view()));
  message.set_round(origin.round);
  return message;
}

v1::ModelRef EncodeModel(const ModelRef& model) {
  v1::ModelRef message;
  message.set_id(model.id);
  message.set_kind(static_cast<v1::ModelKind>(model.kind));
  message.set_blob(std::string(model.blob.view()));
  message.set_size_bytes(model.size_bytes);
  message.set_origin_site(model.origin_site.value());
  message.set_sealed_key(model.sealed_key);
  if (model.made_by.has_value()) {
    *message.mutable_made_by() = EncodeOrigin(*model.made_by);
  }
  for (const SumOrigin& refused : model.refused) {
    *message.add_refused() = EncodeOrigin(refused);
  }
  return message;
}

struct ItemEncoder {
  v1::WorkItem message;

  void operator()(const ExperimentOffer& offer) {
    message.mutable_offer()->set_job_id(offer.job.value());
    *message.mutable_offer()->mutable_plan() = Encode(offer.plan);
  }
  void operator()(const BaselineTask& task) {
    message.mutable_baseline()->set_job_id(task.job.value());
    for (const SignedDocument& acceptance : task.acceptances) {
      *message.mutable_baseline()->add_acceptances() = Encode(acceptance);
    }
  }
  void operator()(const GraphSeedTask& task) {
    message.mutable_graph_seed()->set_job_id(task.job.value());
    for (const SignedDocument& acceptance : task.acceptances) {
      *message.mutable_graph_seed()->add_acceptances() = Encode(acceptance);
    }
  }
  void operator()(const SumStep& step) {
    v1::SumStep* sum = message.mutable_sum();
    sum->set_job_id(step.job.value());
    sum->set_kind(static_cast<v1::SumKind>(step.kind));
    sum->set_round(step.round);
    sum->set_attempt(step.attempt);
    sum->set_phase(static_cast<v1::SumPhase>(step.phase));
    sum->set_message(step.message);
    for (const ModelRef& model : step.models) {
      *sum->add_models() = EncodeModel(model);
    }
    sum->set_deadline_unix_ms(step.deadline_unix_ms);
  }
  void operator()(const ReleaseOffer& offer) {
    message.mutable_release()->set_job_id(offer.job.value());
    *message.mutable_release()->mutable_manifest() = Encode(offer.manifest);
  }
  void operator()(const ExperimentClosed& closed) {
    message.mutable_closed()->set_job_id(closed.job.value());
    message.mutable_closed()->set_phase(closed.phase);
    message.mutable_closed()->set_reason(CleanText(closed.reason, kMaxTextBytes));
  }
};

}  // namespace

v1::WorkItem Encode(const WorkItem& item) {
  ItemEncoder encoder;
  std::visit(encoder, item);
  return std::move(encoder.message);
}

v1::PullWorkReply Encode(const Work& work) {
  v1::PullWorkReply message;
  message.set_version(work.version);
  for (const WorkItem& item : work.items) {
    *message.add_items() = Encode(item);
  }
  return message;
}

}  // namespace cloister::wire
