// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/recount.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "coordinator/registry/registry.h"
#include "coordinator/service/spooled_sum.h"
#include "coordinator/storage/experiment_store.h"
#include "coordinator/storage/sum_store.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/sums.h"
#include "protocols/secagg/server_session.h"
#include "protocols/update/model_state.h"

namespace cloister::coordinator {
namespace {

// The attempt of a round that was finished.
struct FinishedRound {
  SumKey key;
  absl::Time started;  // when its first message was taken
  Digest parent;       // the global model that it trained from
  Digest result;       // what was published
};

absl::StatusOr<FinishedRound> FindRound(storage::Database& database, const JobId& job, uint32_t round) {
  std::map<uint32_t, absl::Time> started;  // by attempt
  std::optional<FinishedRound> found;
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Fact> facts, LoadFacts(database, job));
  for (const Fact& fact : facts) {
    if (const auto* answered = std::get_if<SumAnswered>(&fact.event)) {
      if (answered->sum.kind == plan::SumKind::kTrain && answered->sum.round == round) {
        started.try_emplace(answered->sum.attempt, fact.time);
      }
    }
    const auto* finished = std::get_if<SumFinished>(&fact.event);
    if (finished == nullptr || finished->sum.kind != plan::SumKind::kTrain || finished->sum.round != round) {
      continue;
    }
    found = FinishedRound{finished->sum, started[finished->sum.attempt], {}, {}};
    if (finished->refused) {
      found->parent = finished->refused->parent;
      found->result = finished->refused->result;
      return *found;
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ModelRecord> models, LoadModels(database, job));
  for (const ModelRecord& model : models) {
    if (found && model.round == round && model.parent.has_value() && model.result.has_value()) {
      found->parent = *model.parent;
      found->result = *model.result;
      return *found;
    }
  }
  return absl::NotFoundError(fmt::format("{}: training round {} has no totals", job.value(), round));
}

// The session of the sum again, to its end.
absl::StatusOr<secagg::ServerSession> Replay(const Evidence& evidence, const FinishedRound& round,
                                             const secagg::SumParams& params,
                                             const std::vector<StoredSumMessage>& messages) {
  std::set<SiteId> asked;
  for (const StoredSumMessage& message : messages) {
    asked.insert(message.site);
  }
  CLOISTER_ASSIGN_OR_RETURN(
      secagg::ServerSession session,
      secagg::ServerSession::Create({params, evidence.ca, {asked.begin(), asked.end()}, round.started}));
  for (const StoredSumMessage& message : messages) {
    while (static_cast<int>(session.phase()) + 1 < static_cast<int>(message.phase)) {
      CLOISTER_RETURN_IF_ERROR(session.Close());
    }
    CLOISTER_RETURN_IF_ERROR(
        Annotate(session.Handle(message.site, message.message), "stored message of " + message.site.value()));
  }
  while (session.phase() != secagg::ServerPhase::kDone) {
    CLOISTER_RETURN_IF_ERROR(session.Close());
  }
  return session;
}

// The files of the survivors' masked vectors, each with the digest that its site signed.
absl::StatusOr<std::vector<std::vector<std::filesystem::path>>> CommittedVectors(const Evidence& evidence,
                                                                                 const secagg::ServerSession& session) {
  std::vector<std::vector<std::filesystem::path>> spooled;
  for (const SiteId& site : session.survivors()) {
    CLOISTER_ASSIGN_OR_RETURN(const secagg::MaskedCommit commit, session.CommitOf(site));
    spooled.emplace_back();
    for (const secagg::VectorCommit& vector : commit.vectors) {
      if (!evidence.blobs->Has(vector.digest)) {
        return absl::NotFoundError(
            fmt::format("the masked vector {} of {} is not here: it is kept only of a round that "
                        "was taken back",
                        vector.digest.short_hex(), site.value()));
      }
      spooled.back().push_back(evidence.blobs->Path(vector.digest));
      CLOISTER_ASSIGN_OR_RETURN(const Digest digest, crypto::Sha256File(spooled.back().back()));
      if (digest != vector.digest) {
        return absl::DataLossError(
            fmt::format("the masked vector {} of {} has changed on the disk", vector.digest.short_hex(), site.value()));
      }
    }
  }
  return spooled;
}

}  // namespace

absl::StatusOr<std::string> RecountRound(const Evidence& evidence, const JobId& job, uint32_t round) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<StoredExperiment> experiments, LoadExperiments(*evidence.database));
  const auto stored =
      std::find_if(experiments.begin(), experiments.end(), [&](const StoredExperiment& one) { return one.job == job; });
  if (stored == experiments.end()) {
    return absl::NotFoundError(fmt::format("there is no experiment {}", job.value()));
  }
  CLOISTER_ASSIGN_OR_RETURN(const plan::Experiment plan, plan::ParsePlan(stored->plan.document));
  CLOISTER_ASSIGN_OR_RETURN(const FinishedRound finished, FindRound(*evidence.database, job, round));
  CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel global,
                            update::MappedModel::Open(evidence.blobs->Path(finished.parent)));
  const secagg::SumParams params =
      plan::SumParamsOf(plan, stored->plan_digest, {job, plan::SumKind::kTrain, round, finished.key.attempt},
                        {{"parent", false, finished.parent}}, global.values());
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<StoredSumMessage> messages,
                            LoadSumMessages(*evidence.database, job, finished.key));
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ServerSession session, Replay(evidence, finished, params, messages));
  CLOISTER_ASSIGN_OR_RETURN(const auto spooled, CommittedVectors(evidence, session));
  CLOISTER_ASSIGN_OR_RETURN(const secagg::Unmasker* const unmasker, session.unmasker());
  CLOISTER_ASSIGN_OR_RETURN(const secagg::ServerSession::Published published, session.published());
  const std::filesystem::path file = evidence.folder / ("recount-" + job.value());
  const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const absl::Status summed =
      SumUp(spooled, *unmasker, {published.ctx2, published.survivors, published.tag, params.vectors}, file, threads);
  const absl::StatusOr<Digest> counted = summed.ok() ? crypto::Sha256File(file) : absl::StatusOr<Digest>(summed);
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  CLOISTER_RETURN_IF_ERROR(counted.status());
  const std::string what =
      fmt::format("training round {}: the {} vectors that {} sites committed to give totals {}", round,
                  spooled.size() * params.vectors.size(), spooled.size(), counted->short_hex());
  if (*counted != finished.result) {
    return absl::DataLossError(fmt::format("{}, but {} were published: the coordinator lied, or its disk does", what,
                                           finished.result.short_hex()));
  }
  return what + ", as published: if their tag does not fit, a site committed to a wrong one";
}

}  // namespace cloister::coordinator
