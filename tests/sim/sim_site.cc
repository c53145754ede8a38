// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_site.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "eval/federated/score_histogram.h"
#include "eval/federated/site_summary.h"
#include "protocols/crypto/hash.h"
#include "protocols/crypto/seeded_stream.h"
#include "protocols/plan/documents.h"
#include "protocols/plan/guards.h"
#include "protocols/plan/quantization.h"
#include "protocols/plan/sum_result.h"
#include "protocols/secagg/ring.h"
#include "protocols/update/model_state.h"
#include "protocols/update/quantizer.h"
#include "tests/sim/sim_plan.h"
#include "tests/sim/toy_task.h"
#include "tests/support/bad_shares.h"

namespace cloister::sim {
namespace {

crypto::SecretBytes SeedOf(const std::string& text) {
  return crypto::SecretBytes::CopyOf(crypto::Sha256(text).view());
}

template <typename T>
ByteView BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string NameOf(const wire::SumStep& step) {
  return fmt::format("{} {} {}", static_cast<int>(step.kind), step.round, step.attempt);
}

}  // namespace

std::vector<plan::SumModel> PlanModels(const std::vector<wire::ModelRef>& models) {
  std::vector<plan::SumModel> out;
  for (const wire::ModelRef& model : models) {
    out.push_back({model.id, model.kind == wire::ModelKind::kBaseline, model.blob});
  }
  return out;
}

SimSite::SimSite(int number, crypto::Signer signer, crypto::Certificate ca, absl::Time now, Conduct conduct)
    : number_(number),
      id_(SiteId::Parse(signer.id()).value()),
      signer_(std::move(signer)),
      ca_(std::move(ca)),
      now_(now),
      conduct_(conduct),
      job_secret_(SeedOf("job secret of " + id_.value())) {}

absl::StatusOr<std::vector<wire::SiteMessage>> SimSite::Work(const wire::WorkItem& item, storage::BlobStore& blobs) {
  if (const auto* offer = std::get_if<wire::ExperimentOffer>(&item)) {
    CLOISTER_ASSIGN_OR_RETURN(wire::SiteMessage answer, Answer(*offer));
    return std::vector<wire::SiteMessage>{std::move(answer)};
  }
  if (const auto* task = std::get_if<wire::GraphSeedTask>(&item)) {
    CLOISTER_ASSIGN_OR_RETURN(wire::SiteMessage reveal, Reveal(*task));
    return std::vector<wire::SiteMessage>{std::move(reveal)};
  }
  if (const auto* task = std::get_if<wire::BaselineTask>(&item)) {
    wire::BaselineReady ready{task->job, {}, {}};
    CLOISTER_ASSIGN_OR_RETURN(ready.blob, blobs.Put("sealed baseline of " + id_.value()));
    for (const wire::SignedDocument& document : task->acceptances) {
      CLOISTER_ASSIGN_OR_RETURN(const plan::Acceptance acceptance, plan::ParseAcceptance(document.document));
      ready.keys.push_back({acceptance.site, "sealed content key"});
    }
    return std::vector<wire::SiteMessage>{std::move(ready)};
  }
  if (const auto* step = std::get_if<wire::SumStep>(&item)) {
    return TakePart(*step, blobs);
  }
  if (const auto* release = std::get_if<wire::ReleaseOffer>(&item)) {
    CLOISTER_ASSIGN_OR_RETURN(const plan::ReleaseManifest manifest, plan::ParseRelease(release->manifest.document));
    return std::vector<wire::SiteMessage>{wire::ReleaseAnswer{manifest.id, wire::ReleaseState::kVerified}};
  }
  return std::vector<wire::SiteMessage>{};
}

absl::StatusOr<wire::SiteMessage> SimSite::Answer(const wire::ExperimentOffer& offer) {
  CLOISTER_ASSIGN_OR_RETURN(experiment_, plan::ParsePlan(offer.plan.document));
  plan_digest_ = crypto::Sha256(offer.plan.document);
  CLOISTER_ASSIGN_OR_RETURN(const crypto::X25519KeyPair sealing,
                            crypto::X25519KeyPair::FromSeed(SeedOf("sealing key of " + id_.value())));
  wire::SignedDocument acceptance;
  acceptance.document = plan::AcceptanceDocument(
      {plan_digest_, id_, sealing.public_key(),
       secagg::GraphCommitment(offer.job, id_, secagg::GraphReveal(offer.job, id_, job_secret_).view())});
  acceptance.signature = signer_.Sign(plan::kAcceptanceDomain, acceptance.document);
  acceptance.certificate = signer_.certificate().der();
  return wire::ExperimentAnswer{offer.job, acceptance, std::nullopt};
}

absl::StatusOr<wire::SiteMessage> SimSite::Reveal(const wire::GraphSeedTask& task) {
  secagg::GraphCommits commits;
  for (const wire::SignedDocument& document : task.acceptances) {
    CLOISTER_ASSIGN_OR_RETURN(const plan::Acceptance acceptance, plan::ParseAcceptance(document.document));
    commits.emplace(acceptance.site, acceptance.graph_commitment);
  }
  if (!commits_.empty() && commits_ != commits) {
    return absl::AbortedError("a second set of commitments to the graph seed");
  }
  commits_ = std::move(commits);
  CLOISTER_ASSIGN_OR_RETURN(const Digest reveal,
                            Digest::FromBytes(secagg::GraphReveal(task.job, id_, job_secret_).view()));
  return wire::GraphReveal{task.job, reveal};
}

absl::StatusOr<PlainUpdate> SimSite::Train(const plan::Experiment& experiment, uint32_t round,
                                           absl::Span<const float> global) const {
  std::vector<float> local(global.begin(), global.end());
  const bool scaled = Does(Misdeed::kScaled, round);
  if (conduct_.learns) {
    local = TrainToy(number_, global, scaled || Does(Misdeed::kFlippedLabels, round));
  } else {
    for (size_t i = 0; i < local.size(); ++i) {  // moves towards a point of its own, a little less every round
      const float target = std::sin(static_cast<float>(number_) + 0.3f * static_cast<float>(i));
      local[i] += 0.4f / static_cast<float>(round) * (target - local[i]);
    }
  }
  for (size_t i = 0; scaled && i < local.size(); ++i) {
    local[i] = global[i] + 100 * (local[i] - global[i]);
  }
  if (Does(Misdeed::kNotFinite, round)) {
    local[0] = std::numeric_limits<float>::quiet_NaN();
  }
  const uint64_t samples = 100 + 150 * static_cast<uint64_t>(number_);
  const update::Weight weight = update::Weight::FromSamples(samples, experiment.privacy.weight_cap).value();
  const auto words = [&](uint64_t first, absl::Span<uint32_t> out) -> absl::Status {
    crypto::SeededStream stream(job_secret_, fmt::format("rounding {}", round));
    stream.Seek(4 * first);
    stream.Fill(out.data(), 4 * out.size());
    return absl::OkStatus();
  };
  const auto quantizer = update::UpdateQuantizer::Create(plan::QuantizerOf(experiment, MakeToyModel().layout).value(),
                                                         weight, local, global, words)
                             .value();
  PlainUpdate update;
  const bool narrow = experiment.privacy.ring_bits < 64;
  update.narrow.resize(narrow ? global.size() : 0);
  update.wide.resize(narrow ? 0 : global.size());
  CLOISTER_RETURN_IF_ERROR(narrow ? quantizer.Read(0, absl::MakeSpan(update.narrow))
                                  : quantizer.Read(0, absl::MakeSpan(update.wide)));
  update.counters = {samples, weight.fixed(), static_cast<double>(samples) * 0.5 / round, samples / 16};
  return update;
}

absl::Status SimSite::Keep(const std::vector<secagg::Fact>& facts) {
  for (const secagg::Fact& fact : facts) {
    const auto [stored, is_new] = facts_.emplace(fact.key, fact.value);
    if (stored->second != fact.value) {
      return absl::InternalError("a session contradicts the stored fact " + fact.key);
    }
  }
  return absl::OkStatus();
}

absl::Status SimSite::OpenSession(const wire::SumStep& step, storage::BlobStore& blobs) {
  if (sum_name_ != NameOf(step)) {
    sum_name_ = NameOf(step);
    heard_.clear();
    session_.reset();
  }
  if (session_) {
    return absl::OkStatus();
  }
  for (const wire::ModelRef& model : step.models) {
    CLOISTER_RETURN_IF_ERROR(CheckModel(model, blobs));
  }
  const auto kind = static_cast<plan::SumKind>(step.kind);
  const plan::SumName name{step.job, kind, step.round, step.attempt};
  secagg::SumParams params;
  if (kind == plan::SumKind::kTrain) {
    CLOISTER_ASSIGN_OR_RETURN(const update::ModelState global,
                              update::ReadModelState(blobs.Path(step.models.at(0).blob)));
    params = plan::SumParamsOf(*experiment_, plan_digest_, name, PlanModels(step.models), global.values);
  } else {
    params = plan::SumParamsOf(*experiment_, plan_digest_, name, PlanModels(step.models));
  }
  if (!commits_.empty()) {
    if (!step.message.empty() && step.phase == wire::SumPhase::kAdvertise) {
      CLOISTER_ASSIGN_OR_RETURN(const secagg::GraphReveals reveals, secagg::DecodeGraphReveals(step.message));
      CLOISTER_ASSIGN_OR_RETURN(graph_seed_, secagg::CombineGraphReveals(step.job, commits_, reveals));
    }
    std::vector<SiteId> participants;
    for (const auto& [site, commitment] : commits_) {
      participants.push_back(site);
    }
    plan::UseSparseGraph(*experiment_, std::move(participants), graph_seed_.value(), params);
  }
  CLOISTER_ASSIGN_OR_RETURN(
      secagg::ClientSession session,
      secagg::ClientSession::Create({params, signer_, ca_, now_, job_secret_.Clone(), facts_, true}));
  session_.emplace(std::move(session));
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep advert, session_->Advertise());
  CLOISTER_RETURN_IF_ERROR(Keep(advert.facts));
  for (const Bytes& message : heard_) {
    CLOISTER_RETURN_IF_ERROR(Hear(message, step, blobs).status());
  }
  return absl::OkStatus();
}

absl::Status SimSite::CheckModel(const wire::ModelRef& model, storage::BlobStore& blobs) {
  const std::vector<secagg::VectorSpec> vectors = plan::SumVectors(*experiment_, plan::SumKind::kTrain, {});
  const auto check = [&](const wire::SumOrigin& origin, const Digest& made) -> absl::Status {
    const auto known = checks_.find(origin.round);
    if (known == checks_.end() || checked_.count(made) > 0) {
      return absl::OkStatus();
    }
    CLOISTER_ASSIGN_OR_RETURN(const plan::SumResult totals, plan::SumResult::Open(blobs.Path(origin.result)));
    CLOISTER_RETURN_IF_ERROR(plan::CheckSumResult(totals, known->second, vectors));
    CLOISTER_ASSIGN_OR_RETURN(const auto global, update::MappedModel::Open(blobs.Path(origin.parent)));
    std::optional<update::MappedModel> before;
    CLOISTER_ASSIGN_OR_RETURN(const std::optional<Digest> wanted, plan::ModelBefore(*experiment_, global));
    if (wanted.has_value()) {
      CLOISTER_ASSIGN_OR_RETURN(before, update::MappedModel::Open(blobs.Path(*wanted)));
    }
    CLOISTER_ASSIGN_OR_RETURN(const plan::AggregateVerdict verdict,
                              plan::JudgeAggregate(*experiment_, global, before.has_value() ? &*before : nullptr,
                                                   totals.Values(0), totals.Values64(1)));
    const bool is_model = made == model.blob;
    if (verdict.broken.empty() != is_model) {
      return absl::DataLossError(is_model ? "a model in spite of a guard: " + verdict.broken
                                          : "refused, but no guard is broken");
    }
    checked_.insert(made);
    return absl::OkStatus();
  };
  if (model.made_by.has_value()) {
    CLOISTER_RETURN_IF_ERROR(check(*model.made_by, model.blob));
  }
  for (const wire::SumOrigin& refused : model.refused) {
    CLOISTER_RETURN_IF_ERROR(check(refused, refused.result));
  }
  return absl::OkStatus();
}

absl::StatusOr<Bytes> SimSite::Hear(const Bytes& message, const wire::SumStep& step, storage::BlobStore& blobs) {
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep heard, session_->Handle(message));
  CLOISTER_RETURN_IF_ERROR(Keep(heard.facts));
  if (session_->phase() == secagg::ClientPhase::kMasking) {
    return MaskAndCommit(step, blobs);
  }
  if (const secagg::SumCheck* check = session_->check(); check != nullptr && step.kind == wire::SumKind::kTrain) {
    checks_[step.round] = {check->ctx2, check->survivors, check->seed.Clone()};
  }
  if (step.kind == wire::SumKind::kTrain && step.phase == wire::SumPhase::kShare &&
      Does(Misdeed::kBadShares, step.round)) {
    return testing::WithBadShares(heard.reply.value_or(""), signer_);
  }
  return heard.reply.value_or("");
}

absl::StatusOr<Bytes> SimSite::MaskAndCommit(const wire::SumStep& step, storage::BlobStore& blobs) {
  const auto kind = static_cast<plan::SumKind>(step.kind);
  std::vector<uint64_t> counters;
  std::vector<secagg::VectorCommit> commits;
  uploaded_.clear();
  if (kind == plan::SumKind::kTrain) {
    CLOISTER_ASSIGN_OR_RETURN(const update::ModelState global,
                              update::ReadModelState(blobs.Path(step.models.at(0).blob)));
    CLOISTER_ASSIGN_OR_RETURN(PlainUpdate update, Train(*experiment_, step.round, global.values));
    counters = plan::EncodeTrainCounters(update.counters);
    const int ring_bits = experiment_->privacy.ring_bits;
    const uint64_t width = secagg::ElementBytes(ring_bits);
    Bytes packed(global.values.size() * width, '\0');
    if (ring_bits < 64) {
      CLOISTER_RETURN_IF_ERROR(session_->Mask(0, 0, absl::MakeSpan(update.narrow)));
      secagg::Pack(absl::MakeConstSpan(update.narrow), ring_bits, packed.data());
    } else {
      CLOISTER_RETURN_IF_ERROR(session_->Mask(0, 0, absl::MakeSpan(update.wide)));
      secagg::Pack(absl::MakeConstSpan(update.wide), ring_bits, packed.data());
    }
    if (Does(Misdeed::kOtherVector, step.round)) {
      packed[0] = static_cast<char>(packed[0] + 1);
    }
    commits.push_back({crypto::Sha256(packed), global.values.size()});
    CLOISTER_ASSIGN_OR_RETURN(const Digest blob, blobs.Put(packed));
    uploaded_.push_back(blob);
  } else {
    CLOISTER_ASSIGN_OR_RETURN(counters, Histograms(step, blobs));
  }
  CLOISTER_RETURN_IF_ERROR(session_->Mask(commits.size(), 0, absl::MakeSpan(counters)));
  commits.push_back({crypto::Sha256(BytesOf(counters)), counters.size()});
  CLOISTER_ASSIGN_OR_RETURN(const Digest blob, blobs.Put(BytesOf(counters)));
  uploaded_.push_back(blob);
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep commit, session_->Commit(commits));
  CLOISTER_RETURN_IF_ERROR(Keep(commit.facts));
  commit_ = commit.reply.value_or("");
  return commit_;
}

// Without a task: half the cases are positive, and the scores part them well, a little differently at each site.
absl::StatusOr<eval::Cases> SimSite::TestCases(const std::vector<wire::ModelRef>& models,
                                               storage::BlobStore& blobs) const {
  if (conduct_.learns && models.front().kind == wire::ModelKind::kGlobal) {
    std::vector<std::vector<float>> weights;
    for (const wire::ModelRef& model : models) {
      CLOISTER_ASSIGN_OR_RETURN(update::ModelState state, update::ReadModelState(blobs.Path(model.blob)));
      weights.push_back(std::move(state.values));
    }
    return ScoreToy(number_, weights);
  }
  eval::Cases cases;
  for (uint32_t i = 0; i < 60; ++i) {
    const bool label = i % 2 == 0;
    cases.push_back({i, label, 0.5 + (label ? 0.2 : -0.2) + 0.29 * std::sin(static_cast<double>(i) * (1.7 + number_))});
  }
  return cases;
}

absl::StatusOr<std::vector<uint64_t>> SimSite::Histograms(const wire::SumStep& step, storage::BlobStore& blobs) const {
  const int bins = experiment_->evaluation.histogram_bins;
  std::vector<uint64_t> counters;
  for (const plan::HistogramSlot& slot :
       plan::HistogramSlots(static_cast<plan::SumKind>(step.kind), PlanModels(step.models))) {
    std::vector<wire::ModelRef> members;
    for (const size_t index : slot.members) {
      members.push_back(step.models[index]);
    }
    CLOISTER_ASSIGN_OR_RETURN(const eval::Cases cases, TestCases(members, blobs));
    const std::vector<uint64_t> one = eval::ScoreHistogram::FromCases(cases, bins).value().Counters();
    counters.insert(counters.end(), one.begin(), one.end());
  }
  return counters;
}

absl::StatusOr<wire::SiteSummary> SimSite::Summary(const wire::SumStep& step, storage::BlobStore& blobs) const {
  wire::SiteSummary summary{step.job, step.kind, step.round, {}};
  for (const wire::ModelRef& model : step.models) {
    CLOISTER_ASSIGN_OR_RETURN(const eval::Cases cases, TestCases({model}, blobs));
    eval::SummaryInput input;
    input.model = model.blob;
    input.cases = cases;
    CLOISTER_ASSIGN_OR_RETURN(const eval::SiteSummary numbers, eval::Summarise(input, eval::MinimumCell()));
    summary.models.push_back({model.id, eval::SummaryJson(numbers)});
  }
  return summary;
}

absl::StatusOr<std::vector<wire::SiteMessage>> SimSite::TakePart(const wire::SumStep& step, storage::BlobStore& blobs) {
  CLOISTER_RETURN_IF_ERROR(OpenSession(step, blobs));
  wire::SumMessage answer{step.job, step.kind, step.round, step.attempt, step.phase, "", {}};
  if (step.phase == wire::SumPhase::kAdvertise) {
    CLOISTER_ASSIGN_OR_RETURN(const secagg::ClientStep advert, session_->Advertise());
    CLOISTER_RETURN_IF_ERROR(Keep(advert.facts));
    answer.message = advert.reply.value_or("");
  } else {
    if (heard_.empty() || heard_.back() != step.message) {
      heard_.push_back(step.message);
    }
    CLOISTER_ASSIGN_OR_RETURN(answer.message, Hear(step.message, step, blobs));
    if (step.phase == wire::SumPhase::kMask) {
      answer.message = commit_;
      answer.vectors = uploaded_;
    }
  }
  std::vector<wire::SiteMessage> messages;
  if (step.kind != wire::SumKind::kTrain && step.phase == wire::SumPhase::kMask) {
    CLOISTER_ASSIGN_OR_RETURN(wire::SiteSummary summary, Summary(step, blobs));
    messages.push_back(std::move(summary));
  }
  messages.push_back(std::move(answer));
  return messages;
}

}  // namespace cloister::sim
