// SPDX-License-Identifier: Apache-2.0
// The local-only baseline of an experiment: trained once, and shared sealed where policy and plan allow it (ADR 3).
#include <fmt/format.h>

#include <algorithm>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/crypto/hkdf.h"
#include "protocols/wire/message_bytes.h"
#include "protocols/wire/names.h"
#include "site_agent/agent/experiment_runner.h"
#include "site_agent/agent/status_text.h"

namespace cloister::site {

void ExperimentRunner::Handle(const wire::BaselineTask& task, const transport::StopSource& stop) {
  if (failed_.count("baseline") > 0 || !Due("baseline")) {
    return;
  }
  failure_.reset();
  const absl::StatusOr<const AcceptedExperiment*> experiment = Accepted();
  const absl::Status status = experiment.ok() ? RunBaseline(**experiment, task, stop) : experiment.status();
  if (status.ok() || absl::IsCancelled(status) || absl::IsUnavailable(status)) {
    return;
  }
  failed_.insert("baseline");
  const wire::FailureReason reason = failure_.value_or(FailureOf(status));
  site_->Tell(job_.value(), fmt::format("baseline failed, {}: {}", wire::NameOf(reason), TextOf(status)));
  wire::SiteFailure failure;
  failure.job = job_;
  failure.reason = reason;
  (void)Send(failure, stop);
}

absl::Status ExperimentRunner::RunBaseline(const AcceptedExperiment& experiment, const wire::BaselineTask& task,
                                           const transport::StopSource& stop) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::filesystem::path initial,
      site_->models->Fetch(experiment.plan.model.initial_model, experiment.MostModelBytes(), stop));
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<TrainingResult> baseline,
                            Train(experiment, 0, initial, experiment.plan.model.initial_model));
  if (!baseline.has_value()) {
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(const wire::BaselineReady ready, SealBaseline(experiment, task, *baseline, stop));
  CLOISTER_RETURN_IF_ERROR(Send(ready, stop));
  Delivered("baseline");
  const auto others = std::count_if(ready.keys.begin(), ready.keys.end(),
                                    [this](const auto& key) { return key.site != site_->site(); });
  site_->Tell(job_.value(), ready.blob.has_value()
                                ? fmt::format("baseline trained and sealed for {} other sites", others)
                                : "baseline trained; it stays here");
  return absl::OkStatus();
}

absl::StatusOr<wire::BaselineReady> ExperimentRunner::SealBaseline(const AcceptedExperiment& experiment,
                                                                   const wire::BaselineTask& task,
                                                                   const TrainingResult& baseline,
                                                                   const transport::StopSource& stop) {
  CLOISTER_ASSIGN_OR_RETURN(const Policy policy, site_->policy());
  if (policy.share_local_baseline == BaselineSharing::kNever ||
      experiment.plan.privacy.differential_privacy.has_value()) {
    wire::BaselineReady ready;
    ready.job = job_;
    return ready;
  }
  // What was sealed once is sent again, byte for byte.
  const std::filesystem::path folder = site_->config->data / "spool" / job_.value();
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  wire::BaselineReady ready;
  const absl::StatusOr<Bytes> stored = ReadFile(folder / "baseline.message");
  const absl::StatusOr<wire::SiteMessage> message =
      stored.ok() ? wire::ParseSiteMessage(*stored) : absl::StatusOr<wire::SiteMessage>(stored.status());
  if (message.ok() && std::holds_alternative<wire::BaselineReady>(*message)) {
    ready = std::get<wire::BaselineReady>(*message);
  } else {
    CLOISTER_ASSIGN_OR_RETURN(ready, SealForAll(experiment, task, baseline, folder / "baseline.sealed"));
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "baseline.message", wire::SerializeSiteMessage(ready), 0600));
  }
  std::error_code error;
  wire::BlobHeader header;
  header.digest = *ready.blob;
  header.size_bytes = std::filesystem::file_size(folder / "baseline.sealed", error);
  header.purpose = wire::BlobPurpose::kSealedBaseline;
  header.job = job_;
  CLOISTER_RETURN_IF_ERROR(site_->egress->Upload(header, folder / "baseline.sealed", stop));
  return ready;
}

absl::StatusOr<wire::BaselineReady> ExperimentRunner::SealForAll(const AcceptedExperiment& experiment,
                                                                 const wire::BaselineTask& task,
                                                                 const TrainingResult& baseline,
                                                                 const std::filesystem::path& sealed_file) {
  const BaselineSeal seal = {experiment.plan_digest, site_->site()};
  const crypto::SecretBytes content_key =
      crypto::Hkdf("cloister/job", experiment.job_secret, "baseline content key", 32);
  CLOISTER_ASSIGN_OR_RETURN(const Bytes model, ReadFile(baseline.model, experiment.MostModelBytes()));
  CLOISTER_ASSIGN_OR_RETURN(const Bytes sealed, ModelStore::SealBaseline(content_key, seal, model));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(sealed_file, sealed, 0600));

  wire::BaselineReady ready;
  ready.job = job_;
  ready.blob = crypto::Sha256(sealed);
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<plan::Acceptance> acceptances,
                            experiment.CheckAcceptances(*site_, task.acceptances));
  for (const plan::Acceptance& acceptance : acceptances) {
    CLOISTER_ASSIGN_OR_RETURN(Bytes key,
                              ModelStore::SealKey(acceptance.sealing_key, seal, acceptance.site, content_key));
    ready.keys.push_back({acceptance.site, std::move(key)});
  }
  return ready;
}

}  // namespace cloister::site
