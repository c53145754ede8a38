// SPDX-License-Identifier: Apache-2.0
// From a finished validation to a signed release.
#include <fmt/format.h>

#include <algorithm>

#include "coordinator/rounds/decide.h"
#include "coordinator/service/active_sum.h"
#include "coordinator/storage/sum_store.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"

namespace cloister::coordinator {
namespace {

// A DICOM UID under 2.25 (ISO 9834-8 by UUID): the decimal form of 128 bits of a digest.
std::string UidOf(const Digest& digest) {
  unsigned __int128 value = 0;
  for (size_t i = 0; i < 16; ++i) {
    value = value << 8 | static_cast<uint8_t>(digest.view()[i]);
  }
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value > 0);
  std::reverse(digits.begin(), digits.end());
  return "2.25." + digits;
}

// How many releases of the same task there are.
absl::StatusOr<int> CountReleases(storage::Database& database, const std::string& task) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<wire::ReleaseStatus> releases, LoadReleases(database));
  int count = 0;
  for (const wire::ReleaseStatus& release : releases) {
    CLOISTER_ASSIGN_OR_RETURN(const plan::ReleaseManifest manifest, plan::ParseRelease(release.manifest.document));
    count += manifest.task.name == task ? 1 : 0;
  }
  return count;
}

}  // namespace

absl::Status Job::DoDecideGates() {
  Validation validation;
  validation.models = PlanModels(plan::SumKind::kValidate);
  CLOISTER_ASSIGN_OR_RETURN(StoredTotal total,
                            LoadTotal(*context_->database, stored_.job, plan::SumKind::kValidate, 1));
  validation.totals = std::move(total.counters);
  validation.survivors = std::move(total.survivors);
  CLOISTER_ASSIGN_OR_RETURN(const auto summaries,
                            LoadSummaries(*context_->database, stored_.job, plan::SumKind::kValidate));
  for (const auto& [site, models] : summaries) {
    for (const auto& [model, json] : models) {
      CLOISTER_ASSIGN_OR_RETURN(eval::SiteSummary summary, eval::ParseSummary(json));
      validation.summaries[site].emplace(model, std::move(summary));
    }
  }
  const absl::StatusOr<Decision> decision = DecideCandidates(experiment_, validation);
  if (!decision.ok()) {
    return Commit(WorkFailed{std::string(decision.status().message())});
  }
  CLOISTER_RETURN_IF_ERROR(Commit(Decided{decision->members, decision->note}, [&](storage::Transaction& transaction) {
    return PutGates(transaction, stored_.job, decision->gates);
  }));
  gates_ = decision->gates;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint64_t>> Job::EnsembleTuning() const {
  const std::vector<std::string>& members = machine_.members();
  const plan::SumKind kind = members.size() == 1 ? plan::SumKind::kValidate : plan::SumKind::kCalibrate;
  CLOISTER_ASSIGN_OR_RETURN(StoredTotal total, LoadTotal(*context_->database, stored_.job, kind, 1));
  if (kind == plan::SumKind::kCalibrate) {
    return std::move(total.counters);
  }
  return TuningCounters(experiment_, PlanModels(kind), total.counters, members.front());
}

absl::Status Job::DoPublish() {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<uint64_t> tuning, EnsembleTuning());
  const absl::StatusOr<OperatingPoint> point = ChooseOperatingPoint(experiment_, tuning);
  if (!point.ok()) {
    return Commit(WorkFailed{std::string(point.status().message())});
  }
  const absl::Time now = context_->clock->Now();
  CLOISTER_ASSIGN_OR_RETURN(const int earlier, CountReleases(*context_->database, experiment_.task.name));
  plan::ReleaseManifest manifest;
  CLOISTER_ASSIGN_OR_RETURN(manifest.id, ReleaseId::Parse(stored_.job.value()));
  manifest.version = fmt::format("1.0.0.{}", earlier + 1);
  manifest.job = stored_.job;
  manifest.plan = stored_.plan_digest;
  manifest.task = experiment_.task;
  manifest.architecture = experiment_.model.architecture;
  CanonicalWriter identity;
  identity.Blob("cloister/device").Blob(manifest.id.value()).Blob(manifest.version).Put(manifest.plan);
  for (const wire::ModelRef& member : SumModels(plan::SumKind::kCalibrate)) {
    manifest.members.push_back({member.id, member.blob, member.size_bytes});
    identity.Put(member.blob);
  }
  manifest.device_uid = UidOf(crypto::Sha256(identity.bytes()));
  manifest.combiner = experiment_.ensemble.combiner;
  manifest.operating_point = point->threshold;
  manifest.operating_point_rule = point->rule;
  for (const plan::GateResult& gate : gates_) {
    const std::vector<std::string>& members = machine_.members();
    if (std::find(members.begin(), members.end(), gate.model_id) != members.end()) {
      manifest.gates.push_back(gate);
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(const auto summaries,
                            LoadSummaries(*context_->database, stored_.job, plan::SumKind::kValidate));
  for (const auto& [site, models] : summaries) {
    const auto summary = models.find(manifest.members.front().id);
    if (summary != models.end()) {
      manifest.results.push_back({site, summary->first, summary->second});
    }
  }
  wire::ReleaseStatus release;
  for (const SiteId& site : machine_.Accepted()) {
    manifest.sites.push_back(site.value());
    release.sites.push_back({site, wire::ReleaseState::kOffered});
  }
  manifest.rounds = experiment_.algorithm.rounds;
  manifest.code_version = context_->code_version;
  manifest.published = FormatUtc(now);

  release.release = manifest.id;
  release.job = stored_.job;
  release.version = manifest.version;
  release.manifest.document = plan::ReleaseDocument(manifest);
  const crypto::Signer signer = context_->signer();
  release.manifest.signature = signer.Sign(plan::kReleaseDomain, release.manifest.document);
  release.manifest.certificate = signer.certificate().der();
  release.published_unix_ms = absl::ToUnixMillis(now);
  CLOISTER_RETURN_IF_ERROR(Commit(Published{manifest.id}, [&](storage::Transaction& transaction) -> absl::Status {
    CLOISTER_RETURN_IF_ERROR(PutRelease(transaction, release));
    return Audit(transaction, "coordinator", "publish", "release", release.manifest.document.size(),
                 crypto::Sha256(release.manifest.document));
  }));
  manifest_ = std::move(release.manifest);
  return absl::OkStatus();
}

}  // namespace cloister::coordinator
