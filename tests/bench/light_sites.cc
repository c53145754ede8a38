// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/light_sites.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/random.h"
#include "protocols/crypto/x25519.h"
#include "protocols/plan/documents.h"
#include "protocols/plan/sums.h"
#include "protocols/secagg/graph_seed.h"
#include "protocols/transport/identity.h"
#include "protocols/update/model_state.h"
#include "protocols/update/weight.h"
#include "protocols/wire/codec.h"
#include "protocols/wire/names.h"

namespace cloister::bench {
namespace {

constexpr uint64_t kMostBlobBytes = uint64_t{64} << 30;
constexpr uint32_t kPollMs = 20'000;
constexpr absl::Duration kPollDeadline = absl::Seconds(120);
constexpr absl::Duration kTryAgain = absl::Milliseconds(50);
constexpr int kPhases = 5;

// What `site` adds to element `index`: small numbers of both signs.
uint32_t Addend(uint32_t site, uint32_t round, uint64_t index) {
  uint32_t hash = site * 2654435761U ^ static_cast<uint32_t>(index * 2246822519U) ^ round * 3266489917U;
  hash ^= hash >> 15;
  return hash % 2001 - 1000;
}

plan::TrainCounters CountersOf(uint32_t site, const plan::Experiment& experiment) {
  const uint64_t samples = 100 + site;
  return {samples, update::Weight::FromSamples(samples, experiment.privacy.weight_cap).value().fixed(), 0.25 * site,
          samples / 16};
}

template <typename T>
absl::Span<T> ElementsOf(Bytes& bytes) {
  return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
}

}  // namespace

struct LightSites::Site {
  uint32_t number = 0;
  SiteId id;
  std::filesystem::path certificates;
  std::optional<crypto::Signer> signer;
  crypto::SecretBytes job_secret;
  int drops_in = 0;  // the phase in which it fails in every round; 0: never
  uint32_t failed_round = 0;

  std::shared_ptr<transport::CoordinatorChannel> channel;
  std::optional<secagg::ClientSession> session;  // kept after its round until its totals are checked

  // The long poll.
  uint64_t version = 0;
  std::unique_ptr<wire::v1::Federation::Stub> stub;
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientAsyncResponseReader<wire::v1::PullWorkReply>> reader;
  wire::v1::PullWorkReply reply;
  grpc::Status status;
};

struct LightSites::Round {
  uint32_t number = 0;
  secagg::SumParams params;
  std::optional<plan::SumResult> totals;  // of the round before
  Digest fetched;                         // by every site at its start: the first model, or those totals
};

absl::StatusOr<std::unique_ptr<LightSites>> LightSites::Create(const LightOptions& options,
                                                               const Identities& identities,
                                                               const std::filesystem::path& folder) {
  CLOISTER_ASSIGN_OR_RETURN(storage::BlobStore store, storage::BlobStore::Open(folder / "fetched"));
  std::unique_ptr<LightSites> light(new LightSites(options, identities.ca(), std::move(store)));
  const int dropouts = static_cast<int>(options.dropouts * options.sites + 0.5);
  for (int i = 1; i <= options.sites; ++i) {
    auto site = std::make_unique<Site>();
    site->number = static_cast<uint32_t>(i);
    CLOISTER_ASSIGN_OR_RETURN(site->id, SiteId::Parse(SiteName(i)));
    CLOISTER_ASSIGN_OR_RETURN(site->certificates, identities.Make(site->id.value(), crypto::Role::kSite));
    CLOISTER_ASSIGN_OR_RETURN(crypto::Signer signer,
                              transport::LoadSigner(site->certificates, crypto::Role::kSite, absl::Now()));
    site->signer = std::move(signer);
    site->job_secret = crypto::RandomSecret(32);
    // The i-th dropout is wherever i * dropouts / sites steps up: spread evenly, the phases in turn.
    if (const int before = (i - 1) * dropouts / options.sites; i * dropouts / options.sites > before) {
      site->drops_in = 1 + before % kPhases;
      light->lost_masks_ += site->drops_in == static_cast<int>(wire::SumPhase::kMask) ? 1 : 0;
    }
    light->sites_.push_back(std::move(site));
  }
  return light;
}

LightSites::LightSites(const LightOptions& options, const crypto::Certificate& ca, storage::BlobStore store)
    : options_(options), ca_(ca), store_(std::move(store)) {}

LightSites::~LightSites() {
  if (!poller_.joinable()) return;
  over_.Stop();
  workers_.reset();  // no new polls from here on
  for (const auto& site : sites_) {
    if (site->context != nullptr) site->context->TryCancel();
  }
  polls_.Shutdown();
  poller_.join();
}

void LightSites::Start(int port, OnPhase on_phase) {
  on_phase_ = std::move(on_phase);
  workers_ = std::make_unique<transport::TaskQueue>(options_.threads);
  poller_ = std::thread([this] { AwaitPolls(); });
  for (const auto& site : sites_) {
    workers_->Post([this, port, &site = *site] {
      site.channel = Dial(site.certificates, crypto::Role::kSite, port, &clock_);
      site.stub = wire::v1::Federation::NewStub(site.channel->Dial().value());
      Poll(site);
    });
  }
}

absl::Status LightSites::Join() {
  while (!over_.WaitFor(absl::Minutes(1))) {
  }
  std::lock_guard lock(mutex_);
  return status_;
}

void LightSites::Fail(const absl::Status& status) {
  {
    std::lock_guard lock(mutex_);
    status_.Update(status);
  }
  over_.Stop();
}

// ---- the long polls ----

void LightSites::Poll(Site& site) {
  if (over_.stopped()) return;
  const wire::v1::PullWorkRequest request = wire::Encode(wire::PullRequest{site.version, kPollMs, "light"});
  site.context = std::make_unique<grpc::ClientContext>();
  site.context->set_deadline(absl::ToChronoTime(absl::Now() + kPollDeadline));
  site.reply.Clear();
  site.reader = site.stub->AsyncPullWork(site.context.get(), request, &polls_);
  site.reader->Finish(&site.reply, &site.status, &site);
}

void LightSites::AwaitPolls() {
  void* tag = nullptr;
  bool ok = false;
  while (polls_.Next(&tag, &ok)) {
    Site& site = *static_cast<Site*>(tag);
    if (!over_.stopped()) workers_->Post([this, &site] { Work(site); });
  }
}

void LightSites::Work(Site& site) {
  if (!site.status.ok()) {
    over_.WaitFor(kTryAgain);
    Poll(site);
    return;
  }
  down_ += site.reply.ByteSizeLong();
  const absl::StatusOr<wire::Work> work = wire::Decode(site.reply);
  if (!work.ok()) {
    Fail(work.status());
    return;
  }
  site.version = work->version;
  for (const wire::WorkItem& item : work->items) {
    const absl::Status status = Do(site, item);
    if (absl::IsUnavailable(status)) {
      site.version = 0;                                     // look again
    } else if (!status.ok() && !absl::IsAborted(status)) {  // ABORTED: this phase was closed without it
      Fail(Annotate(status, site.id.value()));
      return;
    }
  }
  Poll(site);
}

absl::Status LightSites::Do(Site& site, const wire::WorkItem& item) {
  if (const auto* offer = std::get_if<wire::ExperimentOffer>(&item)) return Accept(site, *offer);
  if (const auto* task = std::get_if<wire::GraphSeedTask>(&item)) return Reveal(site, *task);
  if (const auto* task = std::get_if<wire::BaselineTask>(&item)) {
    return Submit(site, wire::BaselineReady{task->job, std::nullopt, {}});
  }
  if (const auto* step = std::get_if<wire::SumStep>(&item)) return TakePart(site, *step);
  if (const auto* closed = std::get_if<wire::ExperimentClosed>(&item)) {
    return absl::FailedPreconditionError("the experiment ended early: " + closed->reason);
  }
  return absl::OkStatus();
}

// ---- one site's answers ----

absl::Status LightSites::Submit(Site& site, const wire::SiteMessage& message) {
  const wire::v1::SiteMessage encoded = wire::Encode(message);
  up_ += encoded.ByteSizeLong();
  grpc::ClientContext context;
  wire::v1::SubmitReply reply;
  return site.channel->Explain(site.stub->Submit(&context, encoded, &reply));
}

absl::Status LightSites::Fetch(Site& site, const Digest& blob) {
  CLOISTER_ASSIGN_OR_RETURN(const auto connection, site.channel->Dial());
  grpc::ClientContext context;
  wire::v1::GetBlobRequest request;
  request.set_digest(std::string(blob.view()));
  const auto stream = wire::v1::Blobs::NewStub(connection)->Get(&context, request);
  for (wire::v1::BlobChunk chunk; stream->Read(&chunk);) down_ += chunk.data().size();
  return site.channel->Explain(stream->Finish());
}

absl::Status LightSites::Accept(Site& site, const wire::ExperimentOffer& offer) {
  {
    std::lock_guard lock(mutex_);
    if (experiment_ == nullptr) {
      CLOISTER_ASSIGN_OR_RETURN(plan::Experiment experiment, plan::ParsePlan(offer.plan.document));
      experiment_ = std::make_shared<const plan::Experiment>(std::move(experiment));
      plan_digest_ = crypto::Sha256(offer.plan.document);
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(const crypto::X25519KeyPair sealing,
                            crypto::X25519KeyPair::FromSeed(crypto::RandomSecret(32)));
  wire::SignedDocument acceptance;
  acceptance.document = plan::AcceptanceDocument(
      {plan_digest_, site.id, sealing.public_key(),
       secagg::GraphCommitment(offer.job, site.id, secagg::GraphReveal(offer.job, site.id, site.job_secret).view())});
  acceptance.signature = site.signer->Sign(plan::kAcceptanceDomain, acceptance.document);
  acceptance.certificate = site.signer->certificate().der();
  return Submit(site, wire::ExperimentAnswer{offer.job, acceptance, std::nullopt});
}

absl::Status LightSites::Reveal(Site& site, const wire::GraphSeedTask& task) {
  {
    std::lock_guard lock(mutex_);  // the first one reads all commitments
    for (size_t i = commits_.size(); i < task.acceptances.size(); ++i) {
      CLOISTER_ASSIGN_OR_RETURN(const plan::Acceptance acceptance, plan::ParseAcceptance(task.acceptances[i].document));
      commits_.emplace(acceptance.site, acceptance.graph_commitment);
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(const Digest reveal,
                            Digest::FromBytes(secagg::GraphReveal(task.job, site.id, site.job_secret).view()));
  return Submit(site, wire::GraphReveal{task.job, reveal});
}

absl::Status LightSites::TakePart(Site& site, const wire::SumStep& step) {
  if (step.kind != wire::SumKind::kTrain) return absl::OkStatus();
  if (step.attempt > 0) return absl::InternalError(fmt::format("round {} had to be tried again", step.round));
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = seen_.emplace(step.round, step.phase).second;
  }
  if (first) on_phase_(step.round, step.phase);
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<const Round> round, RoundOf(site, step));
  if (step.round > options_.rounds) {
    over_.Stop();
    return absl::OkStatus();
  }
  if (site.failed_round == step.round) return absl::OkStatus();
  if (static_cast<int>(step.phase) == site.drops_in) {
    site.failed_round = step.round;
    site.session.reset();
    return Submit(
        site, wire::SiteFailure{step.job, step.kind, step.round, step.attempt, wire::FailureReason::kWorkerCrashed});
  }
  wire::SumMessage message{step.job, step.kind, step.round, step.attempt, step.phase, "", {}};
  if (step.phase == wire::SumPhase::kAdvertise) {
    CLOISTER_RETURN_IF_ERROR(Begin(site, *round));
    CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep advert, site.session->Advertise());
    message.message = advert.reply.value();
  } else {
    if (!site.session) return absl::InternalError("a step of a sum that this site has not begun");
    CLOISTER_ASSIGN_OR_RETURN(secagg::ClientStep heard, site.session->Handle(step.message));
    if (step.phase == wire::SumPhase::kMask) {
      CLOISTER_RETURN_IF_ERROR(MaskAndUpload(site, step, message));
    } else {
      message.message = std::move(*heard.reply);
    }
  }
  CLOISTER_RETURN_IF_ERROR(Submit(site, message));
  if (step.phase == wire::SumPhase::kMask) {
    std::lock_guard lock(mutex_);
    masked_[step.round].insert(site.id);
  }
  return absl::OkStatus();
}

// Fetches what a site fetches at the start of a round, checks the totals of the one before, and opens the session.
absl::Status LightSites::Begin(Site& site, const Round& round) {
  CLOISTER_RETURN_IF_ERROR(Fetch(site, round.fetched));
  if (site.session && site.session->check() != nullptr && round.totals) {
    CLOISTER_RETURN_IF_ERROR(plan::CheckSumResult(*round.totals, *site.session->check(), round.params.vectors));
  }
  CLOISTER_ASSIGN_OR_RETURN(secagg::ClientSession session,
                            secagg::ClientSession::Create({round.params, *site.signer, ca_, clock_.Now(),
                                                           site.job_secret.Clone(), /*facts=*/{},
                                                           /*models_checked=*/true}));
  site.session.emplace(std::move(session));
  return absl::OkStatus();
}

absl::Status LightSites::MaskAndUpload(Site& site, const wire::SumStep& step, wire::SumMessage& message) {
  const std::vector<secagg::VectorSpec>& vectors = site.session->params().vectors;
  std::vector<Bytes> masked;
  masked.emplace_back(vectors[0].length * sizeof(uint32_t), '\0');
  const absl::Span<uint32_t> update = ElementsOf<uint32_t>(masked[0]);
  for (uint64_t i = 0; i < update.size(); ++i) update[i] = Addend(site.number, step.round, i);
  CLOISTER_RETURN_IF_ERROR(site.session->Mask(0, 0, update));
  std::vector<uint64_t> counters = plan::EncodeTrainCounters(CountersOf(site.number, *experiment_));
  CLOISTER_RETURN_IF_ERROR(site.session->Mask(1, 0, absl::MakeSpan(counters)));
  masked.emplace_back(reinterpret_cast<const char*>(counters.data()), counters.size() * sizeof(uint64_t));

  std::vector<secagg::VectorCommit> commits;
  for (size_t i = 0; i < vectors.size(); ++i) {
    message.vectors.push_back(crypto::Sha256(masked[i]));
    commits.push_back({message.vectors[i], vectors[i].length});
  }
  CLOISTER_ASSIGN_OR_RETURN(secagg::ClientStep commit, site.session->Commit(commits));
  message.message = std::move(*commit.reply);
  const transport::BlobClient blobs(site.channel);
  for (size_t i = 0; i < vectors.size(); ++i) {
    const wire::BlobHeader header{message.vectors[i], masked[i].size(), wire::BlobPurpose::kMaskedVector, step.job};
    up_ += masked[i].size();
    const auto source = transport::MemorySource(std::move(masked[i]));
    CLOISTER_RETURN_IF_ERROR(blobs.Upload(header, source.get(), over_));
  }
  return absl::OkStatus();
}

// ---- what all of them know of a round ----

absl::StatusOr<std::shared_ptr<const LightSites::Round>> LightSites::RoundOf(Site& site, const wire::SumStep& step) {
  std::lock_guard lock(mutex_);  // the first one fetches for all
  if (round_ != nullptr && round_->number == step.round) return round_;
  auto round = std::make_shared<Round>();
  round->number = step.round;
  const wire::ModelRef& model = step.models.at(0);
  const transport::BlobClient blobs(site.channel);
  CLOISTER_RETURN_IF_ERROR(blobs.Download(model.blob, kMostBlobBytes, &store_, over_));
  round->fetched = model.blob;
  CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel global, update::MappedModel::Open(store_.Path(model.blob)));
  const plan::SumName name{step.job, plan::SumKind::kTrain, step.round, step.attempt};
  round->params = plan::SumParamsOf(*experiment_, plan_digest_, name, {{model.id, false, model.blob}}, global.values());
  if (!commits_.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const secagg::GraphReveals reveals, secagg::DecodeGraphReveals(step.message));
    CLOISTER_ASSIGN_OR_RETURN(const Digest seed, secagg::CombineGraphReveals(step.job, commits_, reveals));
    std::vector<SiteId> participants;
    for (const auto& [participant, commitment] : commits_) participants.push_back(participant);
    plan::UseSparseGraph(*experiment_, std::move(participants), seed, round->params);
  }
  if (model.made_by) {
    CLOISTER_RETURN_IF_ERROR(blobs.Download(model.made_by->result, kMostBlobBytes, &store_, over_));
    round->fetched = model.made_by->result;
    CLOISTER_ASSIGN_OR_RETURN(plan::SumResult totals, plan::SumResult::Open(store_.Path(round->fetched)));
    CLOISTER_RETURN_IF_ERROR(CheckTotals(model.made_by->round, totals));
    round->totals = std::move(totals);
  }
  round_ = round;
  return round_;
}

// The oracle: plain integer sums over the sites whose masked vectors were taken.
absl::Status LightSites::CheckTotals(uint32_t round, const plan::SumResult& totals) const {
  const std::set<SiteId>& survivors = masked_.at(round);
  std::vector<uint32_t> update(totals.header().vectors[0].length);
  std::vector<uint64_t> counters(plan::kTrainCounters);
  for (const auto& site : sites_) {
    if (survivors.count(site->id) == 0) continue;
    for (uint64_t i = 0; i < update.size(); ++i) update[i] += Addend(site->number, round, i);
    const std::vector<uint64_t> own = plan::EncodeTrainCounters(CountersOf(site->number, *experiment_));
    for (size_t i = 0; i < own.size(); ++i) counters[i] += own[i];
  }
  std::vector<uint32_t> total(update.size());
  secagg::Unpack(totals.Values(0).packed.data(), 32, absl::MakeSpan(total));
  const bool equal = total == update && totals.Values64(1) == absl::MakeConstSpan(counters);
  return equal ? absl::OkStatus()
               : absl::DataLossError(fmt::format("the totals of round {} are not the plain sums of its {} survivors",
                                                 round, survivors.size()));
}

}  // namespace cloister::bench
