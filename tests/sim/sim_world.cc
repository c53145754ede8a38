// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_world.h"

#include <absl/strings/match.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/registry/registry.h"
#include "coordinator/service/recount.h"
#include "coordinator/storage/schema.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/plan/quantization.h"
#include "protocols/secagg/culprit.h"
#include "protocols/storage/audit_log.h"
#include "protocols/update/aggregation.h"
#include "protocols/update/model_state.h"
#include "protocols/update/quantizer.h"

namespace cloister::sim {
namespace {

using coordinator::Job;

absl::Status Deliver(Job& job, const SiteId& site, const wire::SiteMessage& message) {
  struct Visitor {
    Job& job;
    const SiteId& site;
    absl::Status operator()(const wire::ExperimentAnswer& m) { return job.Answer(site, m); }
    absl::Status operator()(const wire::GraphReveal& m) { return job.TakeReveal(site, m); }
    absl::Status operator()(const wire::BaselineReady& m) { return job.TakeBaseline(site, m); }
    absl::Status operator()(const wire::SumMessage& m) { return job.TakeSumMessage(site, m); }
    absl::Status operator()(const wire::SiteSummary& m) { return job.TakeSummary(site, m); }
    absl::Status operator()(const wire::SiteFailure& m) { return job.TakeFailure(site, m); }
    absl::Status operator()(const wire::ReleaseAnswer& m) { return job.TakeReleaseAnswer(site, m.state); }
  };
  return std::visit(Visitor{job, site}, message);
}

int64_t Signed(uint32_t residue, int bits) {
  const int64_t value = residue;
  return value >= int64_t{1} << (bits - 1) ? value - (int64_t{1} << bits) : value;
}

// What a site reports when its work ends in `status`.
wire::SiteFailure FailureOf(const wire::SumStep& step, const absl::Status& status) {
  const std::optional<SiteId> culprit = secagg::CulpritOf(status);
  const bool mismatch = absl::StrContains(status.message(), "do not have the sites' tags");
  const bool not_finite = absl::StrContains(status.message(), "is not finite");
  return {step.job,
          step.kind,
          step.round,
          step.attempt,
          culprit      ? wire::FailureReason::kBadShare
          : mismatch   ? wire::FailureReason::kTagMismatch
          : not_finite ? wire::FailureReason::kNotFinite
                       : wire::FailureReason::kProtocolViolation,
          culprit};
}

}  // namespace

World::World(testing::TestConsortium& consortium, const WorldOptions& options)
    : options_(options), dice_(options.seed), clock_(testing::kTestNow) {
  database_ = std::make_unique<storage::Database>(storage::Database::Open(folder_.path() / "coordinator.db").value());
  EXPECT_TRUE(coordinator::MigrateExperimentTables(*database_).ok());
  EXPECT_TRUE(coordinator::MigrateRegistryTables(*database_).ok());
  EXPECT_TRUE(storage::AuditLog::Create(database_.get()).ok());
  blobs_ = std::make_unique<storage::BlobStore>(storage::BlobStore::Open(folder_.path() / "blobs").value());
  context_.reset(new coordinator::JobContext{database_.get(), blobs_.get(), &clock_, consortium.ca(),
                                             [signer = consortium.coordinator()] { return signer; }, folder_.path(),
                                             "test"});

  const ToyModel model = MakeToyModel();
  const Digest initial = blobs_->Put(update::EncodeModelState(model.layout, model.values).value()).value();
  experiment_ = MakePlan(options.plan, initial);
  stored_.job = JobId::Parse("toy-1").value();
  stored_.name = experiment_.name;
  stored_.task = experiment_.task.name;
  stored_.sponsor = "operator";
  stored_.plan.document = plan::PlanDocument(experiment_);
  stored_.plan.signature = consortium.an_operator().Sign(plan::kPlanDomain, stored_.plan.document);
  stored_.plan.certificate = consortium.an_operator().certificate().der();
  stored_.plan_digest = crypto::Sha256(stored_.plan.document);
  stored_.submitted_ms = absl::ToUnixMillis(clock_.Now());
  coordinator::ModelRecord record;
  record.job = stored_.job;
  record.id = plan::RoundModelId(0);
  record.digest = initial;
  record.size_bytes = blobs_->SizeBytes(initial).value();
  storage::Transaction transaction = database_->Begin().value();
  EXPECT_TRUE(coordinator::InsertExperiment(transaction, stored_).ok());
  EXPECT_TRUE(coordinator::PutModel(transaction, record).ok());
  EXPECT_TRUE(transaction.Commit().ok());
  job_ = Job::Load(context_.get(), stored_).value();

  for (int i = 1; i <= options.sites; ++i) {
    Conduct conduct;
    if (const auto other = options.conducts.find(i); other != options.conducts.end()) {
      conduct = other->second;
    }
    conduct.learns = options.learns;
    sites_.emplace_back(i, consortium.site(i), consortium.ca(), testing::kTestNow, conduct);
    job_->Heard(sites_.back().id());
  }
}

void World::RestartCoordinator() {
  job_.reset();
  database_ = std::make_unique<storage::Database>(storage::Database::Open(folder_.path() / "coordinator.db").value());
  blobs_ = std::make_unique<storage::BlobStore>(storage::BlobStore::Open(folder_.path() / "blobs").value());
  context_->database = database_.get();
  context_->blobs = blobs_.get();
  absl::StatusOr<std::unique_ptr<Job>> job = Job::Load(context_.get(), stored_);
  ASSERT_TRUE(job.ok()) << job.status();
  job_ = *std::move(job);
  job_->Resume();
  ++restarts_;
}

bool World::IsLost(const SimSite& site, const wire::WorkItem& item) {
  const auto* step = std::get_if<wire::SumStep>(&item);
  const auto is_in = [&](const std::map<int, std::pair<uint32_t, wire::SumPhase>>& plan) {
    const auto planned = plan.find(static_cast<int>(&site - sites_.data()) + 1);
    return step != nullptr && step->kind == wire::SumKind::kTrain && planned != plan.end() &&
           step->round == planned->second.first && step->phase == planned->second.second;
  };
  const int number = static_cast<int>(&site - sites_.data()) + 1;
  if (is_in(options_.lost_sites) ||
      (std::holds_alternative<wire::GraphSeedTask>(item) && options_.withheld_reveals.count(number) > 0)) {
    lost_.insert(site.id());
  }
  if (is_in(options_.away_sites)) {
    away_until_[site.id()] = clock_.Now() + 2 * absl::Milliseconds(experiment_.sites.deadline_ms);
    return true;
  }
  return lost_.count(site.id()) > 0;
}

// What the blob service does when an upload is complete.
void World::NoteUploads(const SiteId& site, const wire::SiteMessage& message) {
  const auto* sum = std::get_if<wire::SumMessage>(&message);
  if (sum == nullptr) {
    return;
  }
  for (const Digest& vector : sum->vectors) {
    storage::Transaction transaction = database_->Begin().value();
    EXPECT_TRUE(coordinator::NoteUpload(transaction, {site.value(), vector, wire::BlobPurpose::kMaskedVector,
                                                      stored_.job.value(), absl::ToUnixMillis(clock_.Now())})
                    .ok());
    EXPECT_TRUE(transaction.Commit().ok());
  }
}

bool World::Visit(SimSite& site) {
  const auto away = away_until_.find(site.id());
  if (away != away_until_.end()) {
    if (clock_.Now() < away->second) {
      return false;
    }
    away_until_.erase(away);
    site.Restart();
  }
  if (lost_.count(site.id()) > 0) {
    return false;
  }
  job_->Heard(site.id());
  const std::optional<Job::OpenWork> work = job_->WorkFor(site.id());
  if (!work || refused_[site.id()] == work->key) {
    return false;
  }
  const wire::WorkItem item = work->make();
  if (std::holds_alternative<wire::ExperimentClosed>(item) || IsLost(site, item)) {
    return false;
  }
  if (Chance(options_.site_goes_away)) {
    away_until_[site.id()] = clock_.Now() + absl::Seconds(std::uniform_int_distribution<int>(1, 180)(dice_));
    return true;
  }
  if (Chance(options_.site_restarts)) {
    site.Restart();
  }
  const absl::StatusOr<std::vector<wire::SiteMessage>> answers = site.Work(item, *blobs_);
  if (!answers.ok()) {
    refused_[site.id()] = work->key;
    Log()->info("{}: {}", site.id().value(), std::string(answers.status().message()));
    if (const auto* step = std::get_if<wire::SumStep>(&item)) {
      const wire::SiteFailure failure = FailureOf(*step, answers.status());
      EXPECT_TRUE(job_->TakeFailure(site.id(), failure).ok());
    }
    return true;
  }
  for (const wire::SiteMessage& answer : *answers) {
    NoteUploads(site.id(), answer);
    if (Chance(options_.coordinator_restarts)) {
      RestartCoordinator();
    }
    if (Chance(options_.database_fails)) {
      EXPECT_TRUE(database_->Execute("PRAGMA query_only = 1").ok());
      const absl::Status failed = Deliver(*job_, site.id(), answer);
      EXPECT_TRUE(absl::IsUnavailable(failed)) << failed;
      EXPECT_TRUE(database_->Execute("PRAGMA query_only = 0").ok());
    }
    const absl::Status taken = Deliver(*job_, site.id(), answer);
    ++messages_;
    if (Chance(options_.reply_lost)) {  // so it is sent again, perhaps after the phase has closed
      if (Chance(0.5)) {
        job_->Settle();
      }
      const absl::Status again = Deliver(*job_, site.id(), answer);
      EXPECT_EQ(again.ok(), taken.ok()) << taken << " / " << again;
    }
    if (!taken.ok()) {
      Log()->info("{} is refused: {}", site.id().value(), std::string(taken.message()));
      refused_[site.id()] = work->key;
      return true;
    }
  }
  if (Chance(options_.coordinator_restarts)) {
    RestartCoordinator();
  }
  return true;
}

void World::Run() {
  constexpr int kMostPasses = 100'000;
  std::vector<size_t> order(sites_.size());
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  for (int pass = 0; pass < kMostPasses; ++pass) {
    bool progress = false;
    std::shuffle(order.begin(), order.end(), dice_);
    for (const size_t i : order) {
      if (options_.long_outages && !job_->machine().ended() && outages_.insert(job_->machine().Message()).second) {
        clock_.Advance(3 * absl::Milliseconds(experiment_.sites.deadline_ms));
        RestartCoordinator();
      }
      progress = Visit(sites_[i]) || progress;
      if (::testing::Test::HasFatalFailure()) {
        return;
      }
      if (Chance(options_.coordinator_restarts)) {
        RestartCoordinator();
      }
      const uint64_t before = job_->revision();
      job_->Settle();
      progress = progress || job_->revision() != before;
    }
    if (progress) {
      clock_.Advance(absl::Milliseconds(10));
      continue;
    }
    absl::Time next = job_->machine().ended() ? absl::InfiniteFuture() : job_->Settle();
    for (const auto& [site, until] : away_until_) {
      next = std::min(next, until);
    }
    if (next == absl::InfiniteFuture()) {
      return;
    }
    clock_.Advance(std::max(next - clock_.Now(), absl::Milliseconds(1)));
  }
  ADD_FAILURE() << "no end: " << job_->machine().Message();
}

absl::StatusOr<std::string> World::Recount(uint32_t round) const {
  return coordinator::RecountRound({database_.get(), blobs_.get(), context_->ca, folder_.path()}, stored_.job, round);
}

std::string World::Notes() const {
  std::string text;
  const std::vector<coordinator::Note> notes = coordinator::LoadNotes(*database_, stored_.job, 0, 100'000).value();
  for (const coordinator::Note& note : notes) {
    text += note.text + "\n";
  }
  return text;
}

Bytes World::Model(uint32_t index) const {
  return blobs_->Read(job_->models().at(index).digest).value();
}

Bytes World::Oracle(uint32_t index) const {
  const coordinator::ModelRecord& made = job_->models().at(index);
  const update::ModelState global = update::ParseModelState(Model(index - 1)).value();
  std::vector<int64_t> sum(global.values.size());
  uint64_t weight = 0;
  uint64_t samples = 0;
  for (const SimSite& site : sites_) {
    if (std::find(made.sites.begin(), made.sites.end(), site.id()) == made.sites.end()) {
      continue;
    }
    const PlainUpdate update = site.Train(experiment_, made.round, global.values).value();
    for (size_t i = 0; i < sum.size(); ++i) {
      sum[i] += update.wide.empty() ? Signed(update.narrow[i], experiment_.privacy.ring_bits)
                                    : static_cast<int64_t>(update.wide[i]);
    }
    weight += update.counters.weight;
    samples += update.counters.samples;
  }
  EXPECT_EQ(samples, made.samples);
  std::vector<float> next(sum.size());
  EXPECT_TRUE(update::DequantizeMean(plan::QuantizerOf(experiment_, global.layout).value(), 0, sum,
                                     update::SumOfOmega(weight), absl::MakeSpan(next))
                  .ok());
  EXPECT_TRUE(update::FedAvg(global.values, absl::MakeSpan(next)).ok());
  return update::EncodeModelState(global.layout, next).value();
}

}  // namespace cloister::sim
