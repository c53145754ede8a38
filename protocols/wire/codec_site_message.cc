// SPDX-License-Identifier: Apache-2.0
// Codecs of what a site sends.
#include <set>

#include "protocols/wire/check.h"
#include "protocols/wire/codec.h"

namespace cloister::wire {
namespace {

absl::StatusOr<SiteMessage> DecodeAnswer(const v1::ExperimentAnswer& message) {
  ExperimentAnswer answer;
  CLOISTER_ASSIGN_OR_RETURN(answer.job, TakeId<JobId>(message.job_id(), "experiment answer"));
  if (message.accepted()) {
    if (message.reason() != 0) {
      return absl::InvalidArgumentError("experiment answer: accepted, and a reason to refuse");
    }
    CLOISTER_ASSIGN_OR_RETURN(SignedDocument acceptance, Decode(message.acceptance()));
    answer.acceptance = std::move(acceptance);
  } else {
    if (message.has_acceptance()) {
      return absl::InvalidArgumentError("experiment answer: refused, and an acceptance");
    }
    CLOISTER_ASSIGN_OR_RETURN(
        answer.refusal, TakeEnum<RefusalReason>(message.reason(), v1::RefusalReason_IsValid, "reason of a refusal"));
  }
  return SiteMessage(std::move(answer));
}

absl::StatusOr<SiteMessage> DecodeBaseline(const v1::BaselineReady& message) {
  BaselineReady ready;
  CLOISTER_ASSIGN_OR_RETURN(ready.job, TakeId<JobId>(message.job_id(), "baseline"));
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.keys_size(), kMaxSites, "sealed keys"));
  if (message.blob().empty()) {
    if (message.keys_size() > 0) {
      return absl::InvalidArgumentError("baseline: sealed keys without a blob");
    }
    return SiteMessage(std::move(ready));
  }
  CLOISTER_ASSIGN_OR_RETURN(ready.blob, TakeDigest(message.blob(), "baseline blob"));
  std::set<SiteId> seen;
  for (const v1::SealedKey& entry : message.keys()) {
    SealedKey key;
    CLOISTER_ASSIGN_OR_RETURN(key.site, TakeId<SiteId>(entry.site(), "sealed key"));
    CLOISTER_RETURN_IF_ERROR(CheckSize(entry.sealed().size(), kMaxSealedKeyBytes, "sealed key"));
    if (entry.sealed().empty()) {
      return absl::InvalidArgumentError(fmt::format("sealed key for {}: empty", key.site.value()));
    }
    if (!seen.insert(key.site).second) {
      return absl::InvalidArgumentError(fmt::format("sealed key for {}: twice", key.site.value()));
    }
    key.sealed = entry.sealed();
    ready.keys.push_back(std::move(key));
  }
  return SiteMessage(std::move(ready));
}

absl::StatusOr<SiteMessage> DecodeSum(const v1::SumMessage& message) {
  SumMessage sum;
  CLOISTER_ASSIGN_OR_RETURN(sum.job, TakeId<JobId>(message.job_id(), "sum message"));
  CLOISTER_ASSIGN_OR_RETURN(sum.kind, TakeEnum<SumKind>(message.kind(), v1::SumKind_IsValid, "sum kind"));
  CLOISTER_ASSIGN_OR_RETURN(sum.phase, TakeEnum<SumPhase>(message.phase(), v1::SumPhase_IsValid, "sum phase"));
  sum.round = message.round();
  sum.attempt = message.attempt();
  CLOISTER_RETURN_IF_ERROR(CheckSize(message.message().size(), kMaxSecaggMessageBytes, "secure sum message"));
  sum.message = message.message();
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.vectors_size(), kMaxVectors, "masked vectors"));
  if ((sum.phase == SumPhase::kMask) != (message.vectors_size() > 0)) {
    return absl::InvalidArgumentError("sum message: MASK, and only MASK, names masked vectors");
  }
  for (const std::string& vector : message.vectors()) {
    CLOISTER_ASSIGN_OR_RETURN(const Digest digest, TakeDigest(vector, "masked vector"));
    sum.vectors.push_back(digest);
  }
  return SiteMessage(std::move(sum));
}

absl::StatusOr<SiteMessage> DecodeSummary(const v1::SiteSummary& message) {
  SiteSummary summary;
  CLOISTER_ASSIGN_OR_RETURN(summary.job, TakeId<JobId>(message.job_id(), "site summary"));
  CLOISTER_ASSIGN_OR_RETURN(summary.kind, TakeEnum<SumKind>(message.kind(), v1::SumKind_IsValid, "sum kind"));
  if (summary.kind == SumKind::kTrain) {
    return absl::InvalidArgumentError("site summary: training has none");
  }
  summary.round = message.round();
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.models_size(), kMaxModels, "models of a summary"));
  std::set<std::string> seen;
  for (const v1::ModelSummary& entry : message.models()) {
    CLOISTER_RETURN_IF_ERROR(CheckIdentifier(entry.model_id(), "model id"));
    CLOISTER_RETURN_IF_ERROR(CheckSize(entry.summary().size(), kMaxSummaryBytes, "summary of a model"));
    if (!seen.insert(entry.model_id()).second) {
      return absl::InvalidArgumentError(fmt::format("site summary: model {} twice", entry.model_id()));
    }
    summary.models.push_back({entry.model_id(), entry.summary()});
  }
  return SiteMessage(std::move(summary));
}

absl::StatusOr<SiteMessage> DecodeRelease(const v1::ReleaseAnswer& message) {
  ReleaseAnswer answer;
  CLOISTER_ASSIGN_OR_RETURN(answer.release, TakeId<ReleaseId>(message.release_id(), "release answer"));
  CLOISTER_ASSIGN_OR_RETURN(answer.state,
                            TakeEnum<ReleaseState>(message.state(), v1::ReleaseState_IsValid, "release state"));
  if (answer.state == ReleaseState::kOffered) {
    return absl::InvalidArgumentError("release answer: OFFERED is not an answer");
  }
  return SiteMessage(std::move(answer));
}

absl::StatusOr<SiteMessage> DecodeFailure(const v1::SiteFailure& message) {
  SiteFailure failure;
  CLOISTER_ASSIGN_OR_RETURN(failure.job, TakeId<JobId>(message.job_id(), "site failure"));
  CLOISTER_ASSIGN_OR_RETURN(failure.kind, TakeOptionalEnum<SumKind>(message.kind(), v1::SumKind_IsValid, "sum kind"));
  CLOISTER_ASSIGN_OR_RETURN(failure.reason,
                            TakeEnum<FailureReason>(message.reason(), v1::FailureReason_IsValid, "failure reason"));
  failure.round = message.round();
  failure.attempt = message.attempt();
  if ((failure.reason == FailureReason::kBadShare) != !message.about().empty()) {
    return absl::InvalidArgumentError("site failure: BAD_SHARE, and only BAD_SHARE, is about another site");
  }
  if (!message.about().empty()) {
    CLOISTER_ASSIGN_OR_RETURN(failure.about, TakeId<SiteId>(message.about(), "whom a failure is about"));
  }
  return SiteMessage(std::move(failure));
}

absl::StatusOr<SiteMessage> DecodeReveal(const v1::GraphReveal& message) {
  GraphReveal reveal;
  CLOISTER_ASSIGN_OR_RETURN(reveal.job, TakeId<JobId>(message.job_id(), "graph reveal"));
  CLOISTER_ASSIGN_OR_RETURN(reveal.reveal, TakeDigest(message.reveal(), "graph reveal"));
  return SiteMessage(std::move(reveal));
}

struct MessageEncoder {
  v1::SiteMessage message;

  void operator()(const ExperimentAnswer& answer) {
    v1::ExperimentAnswer* body = message.mutable_answer();
    body->set_job_id(answer.job.value());
    body->set_accepted(answer.acceptance.has_value());
    if (answer.acceptance) {
      *body->mutable_acceptance() = Encode(*answer.acceptance);
    } else if (answer.refusal) {
      body->set_reason(static_cast<v1::RefusalReason>(*answer.refusal));
    }
  }
  void operator()(const BaselineReady& ready) {
    v1::BaselineReady* body = message.mutable_baseline();
    body->set_job_id(ready.job.value());
    if (ready.blob) {
      body->set_blob(std::string(ready.blob->view()));
    }
    for (const SealedKey& key : ready.keys) {
      v1::SealedKey* entry = body->add_keys();
      entry->set_site(key.site.value());
      entry->set_sealed(key.sealed);
    }
  }
  void operator()(const GraphReveal& reveal) {
    message.mutable_reveal()->set_job_id(reveal.job.value());
    message.mutable_reveal()->set_reveal(std::string(reveal.reveal.view()));
  }
  void operator()(const SumMessage& sum) {
    v1::SumMessage* body = message.mutable_sum();
    body->set_job_id(sum.job.value());
    body->set_kind(static_cast<v1::SumKind>(sum.kind));
    body->set_round(sum.round);
    body->set_attempt(sum.attempt);
    body->set_phase(static_cast<v1::SumPhase>(sum.phase));
    body->set_message(sum.message);
    for (const Digest& vector : sum.vectors) {
      body->add_vectors(std::string(vector.view()));
    }
  }
  void operator()(const SiteSummary& summary) {
    v1::SiteSummary* body = message.mutable_summary();
    body->set_job_id(summary.job.value());
    body->set_kind(static_cast<v1::SumKind>(summary.kind));
    body->set_round(summary.round);
    for (const ModelSummary& model : summary.models) {
      v1::ModelSummary* entry = body->add_models();
      entry->set_model_id(model.model_id);
      entry->set_summary(model.summary);
    }
  }
  void operator()(const ReleaseAnswer& answer) {
    message.mutable_release()->set_release_id(answer.release.value());
    message.mutable_release()->set_state(static_cast<v1::ReleaseState>(answer.state));
  }
  void operator()(const SiteFailure& failure) {
    v1::SiteFailure* body = message.mutable_failure();
    body->set_job_id(failure.job.value());
    if (failure.kind) {
      body->set_kind(static_cast<v1::SumKind>(*failure.kind));
    }
    body->set_round(failure.round);
    body->set_attempt(failure.attempt);
    body->set_reason(static_cast<v1::FailureReason>(failure.reason));
    if (failure.about) {
      body->set_about(failure.about->value());
    }
  }
};

}  // namespace

absl::StatusOr<SiteMessage> Decode(const v1::SiteMessage& message) {
  switch (message.body_case()) {
    case v1::SiteMessage::kAnswer:
      return DecodeAnswer(message.answer());
    case v1::SiteMessage::kBaseline:
      return DecodeBaseline(message.baseline());
    case v1::SiteMessage::kSum:
      return DecodeSum(message.sum());
    case v1::SiteMessage::kSummary:
      return DecodeSummary(message.summary());
    case v1::SiteMessage::kRelease:
      return DecodeRelease(message.release());
    case v1::SiteMessage::kFailure:
      return DecodeFailure(message.failure());
    case v1::SiteMessage::kReveal:
      return DecodeReveal(message.reveal());
    case v1::SiteMessage::BODY_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("site message: of a kind this version does not know");
}

v1::SiteMessage Encode(const SiteMessage& message) {
  MessageEncoder encoder;
  std::visit(encoder, message);
  return std::move(encoder.message);
}

}  // namespace cloister::wire
