// SPDX-License-Identifier: Apache-2.0
// How a signed plan becomes an experiment: what it must fulfil, its id, its first rows.
#include <fmt/format.h>

#include <algorithm>

#include "coordinator/rounds/decide.h"
#include "coordinator/service/driver.h"
#include "coordinator/service/sum_room.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/plan/quantization.h"
#include "protocols/storage/audit_log.h"
#include "protocols/update/aggregation.h"
#include "protocols/update/model_state.h"

namespace cloister::coordinator {

absl::Status Driver::CheckExperiment(const plan::Experiment& experiment) const {
  const JobContext& context = options_.context;
  if (experiment.sites.maximum > secagg::kMaximumSites) {
    return absl::InvalidArgumentError(fmt::format("sites.maximum is {}; a secure sum takes at most {}",
                                                  experiment.sites.maximum, secagg::kMaximumSites));
  }
  CLOISTER_RETURN_IF_ERROR(update::FindAggregationRule(experiment.algorithm.name).status());
  CLOISTER_RETURN_IF_ERROR(CheckGates(experiment));
  if (!context.blobs->Has(experiment.model.initial_model)) {
    return absl::FailedPreconditionError("the initial model " + experiment.model.initial_model.short_hex() +
                                         " is not here: upload it first");
  }
  CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel model,
                            update::MappedModel::Open(context.blobs->Path(experiment.model.initial_model)));
  if (model.layout().parameters() != experiment.model.parameters) {
    return absl::InvalidArgumentError(fmt::format("the initial model has {} parameters, the plan says {}",
                                                  model.layout().parameters(), experiment.model.parameters));
  }
  return plan::CheckUpdates(experiment, model.layout());
}

absl::StatusOr<std::string> Driver::CheckRoomFor(const plan::Experiment& experiment) const {
  const plan::Sites& sites = experiment.sites;
  const size_t invited = sites.invited.empty() ? sites_.size() : sites.invited.size();
  const auto most = static_cast<uint64_t>(std::clamp(static_cast<int>(invited), sites.minimum, sites.maximum));
  return CheckRoom(experiment, most, RoomHere(options_.context.folder));
}

// "<name>-<8 digits of the plan's digest>": the same plan has the same id everywhere; once it has ended, "-2", "-3",
// ... follow.
absl::StatusOr<JobId> Driver::NewJobId(const plan::Experiment& experiment, const Digest& plan_digest) const {
  const std::string stem = experiment.name.substr(0, 48) + "-" + plan_digest.hex().substr(0, 8);
  for (int count = 1;; ++count) {
    CLOISTER_ASSIGN_OR_RETURN(JobId id, JobId::Parse(count == 1 ? stem : fmt::format("{}-{}", stem, count)));
    if (jobs_.count(id) == 0) {
      return id;
    }
  }
}

absl::StatusOr<JobId> Driver::Admit(const std::string& submitter, const wire::SignedDocument& document) {
  const JobContext& context = options_.context;
  const absl::Time now = context.clock->Now();
  CLOISTER_ASSIGN_OR_RETURN(
      const std::string sponsor,
      crypto::VerifySignature(document.certificate, context.ca, plan::kPlanDomain, document.document,
                              document.signature, crypto::Role::kOperator, now));
  CLOISTER_ASSIGN_OR_RETURN(const plan::Experiment experiment, plan::ParsePlan(document.document));
  const Digest digest = crypto::Sha256(document.document);
  for (const auto& [id, job] : jobs_) {
    if (job->stored().plan_digest == digest && !job->machine().ended()) {
      return id;  // submitted before, and running
    }
  }
  CLOISTER_RETURN_IF_ERROR(CheckExperiment(experiment));
  CLOISTER_ASSIGN_OR_RETURN(const std::string room, CheckRoomFor(experiment));

  StoredExperiment stored;
  CLOISTER_ASSIGN_OR_RETURN(stored.job, NewJobId(experiment, digest));
  stored.name = experiment.name;
  stored.task = experiment.task.name;
  stored.sponsor = sponsor;
  stored.plan = document;
  stored.plan_digest = digest;
  stored.submitted_ms = absl::ToUnixMillis(now);
  ModelRecord initial;
  initial.job = stored.job;
  initial.id = plan::RoundModelId(0);
  initial.digest = experiment.model.initial_model;
  CLOISTER_ASSIGN_OR_RETURN(initial.size_bytes, context.blobs->SizeBytes(initial.digest));
  initial.made_ms = stored.submitted_ms;

  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, context.database->Begin());
  CLOISTER_RETURN_IF_ERROR(InsertExperiment(transaction, stored));
  CLOISTER_RETURN_IF_ERROR(PutModel(transaction, initial));
  CLOISTER_RETURN_IF_ERROR(
      AppendNote(transaction, stored.job,
                 {1, stored.submitted_ms, fmt::format("submitted by {}, signed by {}", submitter, sponsor)}));
  CLOISTER_RETURN_IF_ERROR(AppendNote(transaction, stored.job, {2, stored.submitted_ms, room}));
  audit::Event event;
  event.time = now;
  event.actor = submitter;
  event.action = "submit";
  event.subject = stored.job.value();
  event.type = "plan";
  event.size_bytes = document.document.size();
  event.digest = digest;
  CLOISTER_RETURN_IF_ERROR(storage::AuditLog::Append(transaction, event).status());
  CLOISTER_RETURN_IF_ERROR(transaction.Commit());

  CLOISTER_ASSIGN_OR_RETURN(std::unique_ptr<Job> job, Job::Load(&context, stored));
  for (const auto& [site, status] : sites_) {
    job->Heard(site);  // whoever is enrolled and has been here is invited, if the plan names nobody
  }
  order_.push_back(stored.job);
  jobs_[stored.job] = std::move(job);
  Log()->info("{}: submitted by {}", stored.job.value(), submitter);
  return stored.job;
}

}  // namespace cloister::coordinator
