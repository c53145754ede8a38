// SPDX-License-Identifier: Apache-2.0
// Codecs of what the coordinator tells an operator.
#include "protocols/wire/check.h"
#include "protocols/wire/codec.h"

namespace cloister::wire {
namespace {

absl::StatusOr<ParticipantStatus> DecodeParticipant(const v1::ParticipantStatus& message) {
  ParticipantStatus participant;
  CLOISTER_ASSIGN_OR_RETURN(participant.site, TakeId<SiteId>(message.site(), "participant"));
  CLOISTER_ASSIGN_OR_RETURN(participant.state, TakeText(message.state(), kMaxVersionTextBytes, "participant's state"));
  CLOISTER_ASSIGN_OR_RETURN(participant.refusal,
                            TakeOptionalEnum<RefusalReason>(message.refusal(), v1::RefusalReason_IsValid, "refusal"));
  CLOISTER_ASSIGN_OR_RETURN(participant.failure,
                            TakeOptionalEnum<FailureReason>(message.failure(), v1::FailureReason_IsValid, "failure"));
  return participant;
}

absl::StatusOr<GateStatus> DecodeGate(const v1::GateStatus& message) {
  GateStatus gate;
  CLOISTER_ASSIGN_OR_RETURN(gate.rule, TakeText(message.rule(), kMaxTextBytes, "gate's rule"));
  CLOISTER_ASSIGN_OR_RETURN(gate.model_id, TakeText(message.model_id(), kMaxTextBytes, "gate's model"));
  CLOISTER_ASSIGN_OR_RETURN(gate.scope, TakeText(message.scope(), kMaxTextBytes, "gate's scope"));
  CLOISTER_ASSIGN_OR_RETURN(gate.verdict, TakeText(message.verdict(), kMaxVersionTextBytes, "gate's verdict"));
  CLOISTER_ASSIGN_OR_RETURN(gate.detail, TakeText(message.detail(), kMaxTextBytes, "gate's detail"));
  return gate;
}

}  // namespace

absl::StatusOr<ExperimentStatus> Decode(const v1::ExperimentStatus& message) {
  ExperimentStatus status;
  CLOISTER_ASSIGN_OR_RETURN(status.job, TakeId<JobId>(message.job_id(), "experiment"));
  CLOISTER_ASSIGN_OR_RETURN(status.name, TakeText(message.name(), kMaxTextBytes, "experiment's name"));
  CLOISTER_ASSIGN_OR_RETURN(status.task, TakeText(message.task(), kMaxTextBytes, "experiment's task"));
  CLOISTER_ASSIGN_OR_RETURN(
      status.phase, TakeEnum<ExperimentPhase>(message.phase(), v1::ExperimentPhase_IsValid, "experiment's phase"));
  status.round = message.round();
  status.rounds = message.rounds();
  status.attempt = message.attempt();
  CLOISTER_ASSIGN_OR_RETURN(status.step,
                            TakeOptionalEnum<SumPhase>(message.step(), v1::SumPhase_IsValid, "experiment's step"));
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.sites_size(), kMaxSites, "sites of an experiment"));
  for (const v1::ParticipantStatus& entry : message.sites()) {
    CLOISTER_ASSIGN_OR_RETURN(ParticipantStatus participant, DecodeParticipant(entry));
    status.sites.push_back(std::move(participant));
  }
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.gates_size(), kMaxModels * kMaxSites, "gates of an experiment"));
  for (const v1::GateStatus& entry : message.gates()) {
    CLOISTER_ASSIGN_OR_RETURN(GateStatus gate, DecodeGate(entry));
    status.gates.push_back(std::move(gate));
  }
  if (!message.release_id().empty()) {
    CLOISTER_ASSIGN_OR_RETURN(status.release, TakeId<ReleaseId>(message.release_id(), "experiment's release"));
  }
  CLOISTER_ASSIGN_OR_RETURN(status.message, TakeText(message.message(), kMaxTextBytes, "experiment's message"));
  status.submitted_unix_ms = message.submitted_unix_ms();
  if (!message.model().empty()) {
    CLOISTER_ASSIGN_OR_RETURN(status.model, TakeDigest(message.model(), "experiment's model"));
  }
  CLOISTER_ASSIGN_OR_RETURN(status.plan_digest, TakeDigest(message.plan_digest(), "experiment's plan"));
  return status;
}

absl::StatusOr<ExperimentEvent> Decode(const v1::ExperimentEvent& message) {
  ExperimentEvent event;
  event.sequence = message.sequence();
  event.time_unix_ms = message.time_unix_ms();
  CLOISTER_ASSIGN_OR_RETURN(event.text, TakeText(message.text(), kMaxTextBytes, "event"));
  CLOISTER_ASSIGN_OR_RETURN(event.status, Decode(message.status()));
  return event;
}

absl::StatusOr<ReleaseStatus> Decode(const v1::ReleaseStatus& message) {
  ReleaseStatus status;
  CLOISTER_ASSIGN_OR_RETURN(status.release, TakeId<ReleaseId>(message.release_id(), "release"));
  CLOISTER_ASSIGN_OR_RETURN(status.job, TakeId<JobId>(message.job_id(), "release"));
  CLOISTER_ASSIGN_OR_RETURN(status.version, TakeText(message.version(), kMaxVersionTextBytes, "release's version"));
  CLOISTER_ASSIGN_OR_RETURN(status.manifest, Decode(message.manifest()));
  CLOISTER_RETURN_IF_ERROR(CheckCount(message.sites_size(), kMaxSites, "sites of a release"));
  for (const v1::SiteReleaseState& entry : message.sites()) {
    SiteReleaseState site;
    CLOISTER_ASSIGN_OR_RETURN(site.site, TakeId<SiteId>(entry.site(), "site of a release"));
    CLOISTER_ASSIGN_OR_RETURN(site.state,
                              TakeEnum<ReleaseState>(entry.state(), v1::ReleaseState_IsValid, "release state"));
    status.sites.push_back(std::move(site));
  }
  status.published_unix_ms = message.published_unix_ms();
  return status;
}

absl::StatusOr<SiteStatus> Decode(const v1::SiteStatus& message) {
  SiteStatus status;
  CLOISTER_ASSIGN_OR_RETURN(status.site, TakeId<SiteId>(message.site(), "site"));
  CLOISTER_ASSIGN_OR_RETURN(status.agent_version,
                            TakeText(message.agent_version(), kMaxVersionTextBytes, "agent_version"));
  status.first_seen_unix_ms = message.first_seen_unix_ms();
  status.last_seen_unix_ms = message.last_seen_unix_ms();
  status.certificate_expires_unix_ms = message.certificate_expires_unix_ms();
  return status;
}

v1::ExperimentStatus Encode(const ExperimentStatus& status) {
  v1::ExperimentStatus message;
  message.set_job_id(status.job.value());
  message.set_name(CleanText(status.name, kMaxTextBytes));
  message.set_task(CleanText(status.task, kMaxTextBytes));
  message.set_phase(static_cast<v1::ExperimentPhase>(status.phase));
  message.set_round(status.round);
  message.set_rounds(status.rounds);
  message.set_attempt(status.attempt);
  if (status.step) {
    message.set_step(static_cast<v1::SumPhase>(*status.step));
  }
  for (const ParticipantStatus& participant : status.sites) {
    v1::ParticipantStatus* entry = message.add_sites();
    entry->set_site(participant.site.value());
    entry->set_state(CleanText(participant.state, kMaxVersionTextBytes));
    if (participant.refusal) {
      entry->set_refusal(static_cast<v1::RefusalReason>(*participant.refusal));
    }
    if (participant.failure) {
      entry->set_failure(static_cast<v1::FailureReason>(*participant.failure));
    }
  }
  for (const GateStatus& gate : status.gates) {
    v1::GateStatus* entry = message.add_gates();
    entry->set_rule(CleanText(gate.rule, kMaxTextBytes));
    entry->set_model_id(CleanText(gate.model_id, kMaxTextBytes));
    entry->set_scope(CleanText(gate.scope, kMaxTextBytes));
    entry->set_verdict(CleanText(gate.verdict, kMaxVersionTextBytes));
    entry->set_detail(CleanText(gate.detail, kMaxTextBytes));
  }
  if (status.release) {
    message.set_release_id(status.release->value());
  }
  message.set_message(CleanText(status.message, kMaxTextBytes));
  message.set_submitted_unix_ms(status.submitted_unix_ms);
  if (status.model) {
    message.set_model(std::string(status.model->view()));
  }
  message.set_plan_digest(std::string(status.plan_digest.view()));
  return message;
}

v1::ExperimentEvent Encode(const ExperimentEvent& event) {
  v1::ExperimentEvent message;
  message.set_sequence(event.sequence);
  message.set_time_unix_ms(event.time_unix_ms);
  message.set_text(CleanText(event.text, kMaxTextBytes));
  *message.mutable_status() = Encode(event.status);
  return message;
}

v1::ReleaseStatus Encode(const ReleaseStatus& status) {
  v1::ReleaseStatus message;
  message.set_release_id(status.release.value());
  message.set_job_id(status.job.value());
  message.set_version(CleanText(status.version, kMaxVersionTextBytes));
  *message.mutable_manifest() = Encode(status.manifest);
  for (const SiteReleaseState& site : status.sites) {
    v1::SiteReleaseState* entry = message.add_sites();
    entry->set_site(site.site.value());
    entry->set_state(static_cast<v1::ReleaseState>(site.state));
  }
  message.set_published_unix_ms(status.published_unix_ms);
  return message;
}

v1::SiteStatus Encode(const SiteStatus& status) {
  v1::SiteStatus message;
  message.set_site(status.site.value());
  message.set_first_seen_unix_ms(status.first_seen_unix_ms);
  message.set_last_seen_unix_ms(status.last_seen_unix_ms);
  message.set_agent_version(CleanText(status.agent_version, kMaxVersionTextBytes));
  message.set_certificate_expires_unix_ms(status.certificate_expires_unix_ms);
  return message;
}

}  // namespace cloister::wire
