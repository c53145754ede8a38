// SPDX-License-Identifier: Apache-2.0
// What an experiment shows: work for sites, its status, who may send and read which blobs.
#include <fmt/format.h>

#include <algorithm>

#include "coordinator/service/active_sum.h"
#include "coordinator/storage/sum_store.h"

namespace cloister::coordinator {
namespace {

constexpr absl::Duration kShowClosedFor = absl::Hours(24 * 7);
constexpr uint64_t kSealingBytes = 4096;  // what sealing a baseline may add

}  // namespace

std::string Job::WorkKeyFor(const SiteId& site) const {
  struct Visitor {
    std::string operator()(std::monostate) { return ""; }
    std::string operator()(const OfferWork&) { return "offer"; }
    std::string operator()(const SeedWork&) { return "graph seed"; }
    std::string operator()(const BaselineWork&) { return "baseline"; }
    std::string operator()(const SumWork& work) {
      return fmt::format("sum {} {} {} {}", static_cast<int>(work.sum.kind), work.sum.round, work.sum.attempt,
                         static_cast<int>(work.phase));
    }
    std::string operator()(const ReleaseWork& work) { return "release " + work.release.value(); }
    std::string operator()(const ClosedWork& work) { return "closed " + work.phase; }
  };
  const SiteWork work = machine_.WorkFor(site);
  if (std::holds_alternative<ClosedWork>(work) && context_->clock->Now() > ended_at_ + kShowClosedFor) {
    return "";
  }
  const std::string key = std::visit(Visitor{}, work);
  return key.empty() ? "" : stored_.job.value() + " " + key;
}

std::optional<Job::OpenWork> Job::WorkFor(const SiteId& site) {
  const std::string key = WorkKeyFor(site);
  if (key.empty()) {
    return std::nullopt;
  }
  const SiteWork work = machine_.WorkFor(site);
  if (const auto* sum = std::get_if<SumWork>(&work)) {
    MakeItem make = MakeSumStep(site, *sum, key);
    return make ? std::optional<OpenWork>({key, std::move(make)}) : std::nullopt;
  }
  if (const auto* closed = std::get_if<ClosedWork>(&work)) {
    return OpenWork{key, [item = wire::ExperimentClosed{stored_.job, closed->phase, closed->reason}] { return item; }};
  }
  if (std::holds_alternative<ReleaseWork>(work) && !manifest_) {
    return std::nullopt;
  }
  if (shared_key_ != key) {
    wire::WorkItem item = wire::ExperimentOffer{stored_.job, stored_.plan};
    if (std::holds_alternative<SeedWork>(work)) {
      wire::GraphSeedTask task{stored_.job, {}};
      for (const SiteId& participant : machine_.Participants()) {
        task.acceptances.push_back(acceptances_.at(participant));
      }
      item = std::move(task);
    } else if (std::holds_alternative<BaselineWork>(work)) {
      wire::BaselineTask task{stored_.job, {}};
      for (const SiteId& participant : machine_.Accepted()) {
        task.acceptances.push_back(acceptances_.at(participant));
      }
      item = std::move(task);
    } else if (std::holds_alternative<ReleaseWork>(work)) {
      item = wire::ReleaseOffer{stored_.job, *manifest_};
    }
    shared_item_ = std::make_shared<const wire::WorkItem>(std::move(item));
    shared_key_ = key;
  }
  return OpenWork{key, [item = shared_item_] { return *item; }};
}

// A step of the current sum. Null: it cannot be told now.
MakeItem Job::MakeSumStep(const SiteId& site, const SumWork& sum, const std::string& key) {
  if (!OpenSum().ok()) {
    return nullptr;  // Settle() meets the same trouble and says so
  }
  if (shared_key_ != key) {
    wire::SumStep step{
        stored_.job,     static_cast<wire::SumKind>(sum.sum.kind), sum.sum.round, sum.sum.attempt, sum.phase, "",
        active_->models, absl::ToUnixMillis(sum.deadline)};
    if (sum.phase == wire::SumPhase::kAdvertise) {
      if (const secagg::GraphReveals reveals = Reveals(); !reveals.empty()) {
        step.message = secagg::EncodeGraphReveals(reveals);
      }
    } else if (sum.phase != wire::SumPhase::kMask) {
      const std::vector<Bytes> messages = active_->session.MessagesFor(site);
      if (messages.empty()) {
        return nullptr;
      }
      step.message = messages.back();
    }
    shared_item_ = std::make_shared<const wire::WorkItem>(std::move(step));
    shared_key_ = key;
  }
  std::map<SiteId, Bytes> keys;  // of the baselines, by their origin
  for (const wire::ModelRef& model : active_->models) {
    if (model.kind == wire::ModelKind::kBaseline) {
      const std::map<SiteId, Bytes>& sealed = baselines_.at(model.origin_site).keys;
      if (const auto ours = sealed.find(site); ours != sealed.end()) {
        keys[model.origin_site] = ours->second;
      }
    }
  }
  // Only the share delivery is another one for each site.
  std::shared_ptr<ActiveSum> delivering = sum.phase == wire::SumPhase::kMask ? active_ : nullptr;
  return [item = shared_item_, keys = std::move(keys), delivering = std::move(delivering), site]() -> wire::WorkItem {
    wire::SumStep step = std::get<wire::SumStep>(*item);
    for (wire::ModelRef& model : step.models) {
      if (const auto sealed = keys.find(model.origin_site); sealed != keys.end()) {
        model.sealed_key = sealed->second;
      }
    }
    if (delivering != nullptr) {
      step.message = delivering->session.DeliveryFor(site);
    }
    return step;
  };
}

wire::ExperimentStatus Job::Status() const {
  wire::ExperimentStatus status;
  status.job = stored_.job;
  status.name = stored_.name;
  status.task = stored_.task;
  status.phase = machine_.phase();
  status.round = machine_.round();
  status.rounds = static_cast<uint32_t>(experiment_.algorithm.rounds);
  if (const Sum* sum = machine_.sum()) {
    status.attempt = sum->key.attempt;
    status.step = sum->phase;
  }
  for (const auto& [site, participant] : machine_.sites()) {
    status.sites.push_back({site, machine_.StateOf(site), participant.refusal, participant.failure});
  }
  for (const plan::GateResult& gate : gates_) {
    status.gates.push_back({gate.rule, gate.model_id, gate.scope, gate.verdict, gate.detail});
  }
  if (const auto* released = std::get_if<Released>(&machine_.state())) {
    status.release = released->release;
  }
  status.message = trouble_.empty() ? machine_.Message() : "waits for the coordinator's administrator: " + trouble_;
  status.submitted_unix_ms = stored_.submitted_ms;
  if (!models_.empty()) {
    status.model = models_.back().digest;
  }
  status.plan_digest = stored_.plan_digest;
  return status;
}

// Of the masked vectors, in bytes.
std::vector<uint64_t> Job::VectorSizes(const SumKey& sum) const {
  const std::vector<plan::SumModel> models = PlanModels(sum.kind);
  std::vector<uint64_t> sizes;
  for (const secagg::VectorSpec& vector : plan::SumVectors(experiment_, sum.kind, models)) {
    sizes.push_back(vector.length * static_cast<uint64_t>(vector.ring_bits / 8));
  }
  return sizes;
}

JobBlobRights Job::BlobRights() const {
  SiteSet sites;
  for (const auto& [site, participant] : machine_.sites()) {
    sites.insert(sites.end(), site);
  }
  return BlobRights(sites);
}

JobBlobRights Job::BlobRights(const SiteSet& sites) const {
  const State& state = machine_.state();
  JobBlobRights rights;
  auto models = std::make_shared<DigestSet>();
  for (const ModelRecord& model : models_) {
    models->insert(model.digest);
  }
  rights.models = models;
  if (std::holds_alternative<Failed>(state) || std::holds_alternative<Aborted>(state)) {
    return rights;
  }
  const auto readable = std::make_shared<DigestSet>(*models);
  for (const ModelRecord& model : models_) {
    if (model.result.has_value()) {
      readable->insert(*model.result);
    }
  }
  for (const ExperimentMachine::RefusedRound& refused : machine_.refused()) {
    readable->insert(refused.aggregate.result);
  }
  if (std::holds_alternative<Validating>(state)) {
    for (const auto& [site, baseline] : baselines_) {
      readable->insert(baseline.blob);
    }
  }
  const bool baselines_open = std::holds_alternative<Baselines>(state) || std::holds_alternative<Training>(state);
  const Sum* sum = machine_.sum();
  const bool masking = sum != nullptr && sum->phase == wire::SumPhase::kMask && !sum->closing;
  const std::vector<uint64_t> masked_sizes = masking ? VectorSizes(sum->key) : std::vector<uint64_t>();
  for (const SiteId& site : sites) {
    if (!machine_.IsParticipant(site)) {
      continue;
    }
    SiteBlobRights& at_site = rights.sites[site];
    at_site.readable = readable;
    if (baselines_open && !machine_.sites().at(site).baseline_done && !models_.empty()) {
      at_site.baseline_bytes = models_.front().size_bytes + kSealingBytes;
    }
    if (masking && sum->expected.count(site) > 0 && sum->answered.count(site) == 0) {
      at_site.masked_sizes = masked_sizes;
    }
  }
  return rights;
}

void Job::AddReferences(DigestSet& digests) const {
  for (const ModelRecord& model : models_) {
    digests.insert(model.digest);
  }
  const auto add_vectors = [&](const SumKey& sum) {
    const auto vectors = LoadSumVectors(*context_->database, stored_.job, sum);
    if (!vectors.ok()) {
      return;
    }
    for (const auto& [site, of_site] : *vectors) {
      digests.insert(of_site.begin(), of_site.end());
    }
  };
  // Evidence of who lied: kept for good.
  for (const ModelRecord& model : set_aside_) {
    digests.insert(model.digest);
    digests.insert(*model.result);
  }
  std::for_each(machine_.taken_back().begin(), machine_.taken_back().end(), add_vectors);
  if (machine_.ended()) {
    return;
  }
  for (const ModelRecord& model : models_) {
    if (model.result.has_value()) {
      digests.insert(*model.result);
    }
  }
  for (const ExperimentMachine::RefusedRound& refused : machine_.refused()) {
    digests.insert(refused.aggregate.result);
  }
  if (machine_.unconfirmed()) {
    add_vectors(*machine_.unconfirmed());  // may have to be evidence
  }
  for (const auto& [site, baseline] : baselines_) {
    digests.insert(baseline.blob);
  }
  if (const Sum* sum = machine_.sum()) {
    add_vectors(sum->key);
  }
}

}  // namespace cloister::coordinator
