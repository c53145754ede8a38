// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/graph_draw.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/crypto/hash.h"
#include "protocols/plan/sums.h"
#include "protocols/secagg/graph_seed.h"
#include "protocols/secagg/neighbourhoods.h"

namespace cloister::site {
namespace {

// Beside the messages of the sums, which have kinds from 1.
SumKey SeedKey(const JobId& job) {
  return {job, 0, 0, 0};
}
constexpr int kCommitPhase = 1;

std::string FactKey(const JobId& job, const char* what) {
  return fmt::format("{}/graph/{}", job.value(), what);
}

// By site. Codes as RevealGraphSeed.
absl::StatusOr<secagg::GraphCommits> ReadCommits(const SiteContext& site, const AcceptedExperiment& experiment,
                                                 const std::vector<wire::SignedDocument>& acceptances) {
  const plan::Sites& rules = experiment.plan.sites;
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<plan::Acceptance> accepted,
                            experiment.CheckAcceptances(site, acceptances));
  secagg::GraphCommits commits;
  for (const plan::Acceptance& one : accepted) {
    const bool invited = rules.invited.empty() ||
                         std::find(rules.invited.begin(), rules.invited.end(), one.site.value()) != rules.invited.end();
    if (!invited || !commits.emplace(one.site, one.graph_commitment).second) {
      return absl::InvalidArgumentError(
          fmt::format("graph seed: site {} is there twice or is not invited", one.site.value()));
    }
  }
  const int n = static_cast<int>(commits.size());
  const int least = std::max(rules.minimum, secagg::kFullGraphSites + 1);
  if (n < least || n > rules.maximum) {
    return absl::InvalidArgumentError(
        fmt::format("graph seed: {} participants, wanted {} to {}", n, least, rules.maximum));
  }
  return commits;
}

}  // namespace

absl::StatusOr<Digest> RevealGraphSeed(const SiteContext& site, const AcceptedExperiment& experiment,
                                       const std::vector<wire::SignedDocument>& acceptances) {
  const JobId& job = experiment.job;
  CLOISTER_ASSIGN_OR_RETURN(const secagg::GraphCommits commits, ReadCommits(site, experiment, acceptances));
  const crypto::SecretBytes secret = secagg::GraphReveal(job, site.site(), experiment.job_secret);
  const auto own = commits.find(site.site());
  if (own == commits.end() || own->second != secagg::GraphCommitment(job, site.site(), secret.view())) {
    return absl::AbortedError("graph seed: this site was left out, or another commitment put in the place of its own");
  }
  CLOISTER_RETURN_IF_ERROR(secagg::SparseParametersOf(commits.size(), experiment.plan.privacy.colluders,
                                                      int64_t{experiment.plan.algorithm.rounds} * plan::kMaxAttempts)
                               .status());
  const Bytes stored = secagg::EncodeGraphCommits(commits);
  CLOISTER_ASSIGN_OR_RETURN(const Digest reveal, Digest::FromBytes(secret.view()));
  SumStepRows rows;
  rows.facts[FactKey(job, "commits")] = crypto::Sha256(stored);
  rows.reply = Bytes(reveal.view());
  CLOISTER_RETURN_IF_ERROR(site.store->sums().PutMessage(SeedKey(job), kCommitPhase, stored));
  CLOISTER_RETURN_IF_ERROR(site.store->sums().PutStep(SeedKey(job), kCommitPhase, rows));
  return reveal;
}

absl::StatusOr<std::optional<DrawnGraph>> DrawGraph(const SiteContext& site, const JobId& job, const Bytes& reveals) {
  SumTable& table = site.store->sums();
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<SumMessageRow> messages, table.Messages(SeedKey(job)));
  if (messages.empty()) {
    if (reveals.empty()) {
      return std::nullopt;
    }
    return absl::AbortedError("reveals of a graph seed whose commitments this site was never shown");
  }
  CLOISTER_ASSIGN_OR_RETURN(const secagg::GraphCommits commits, secagg::DecodeGraphCommits(messages.front().message));
  CLOISTER_ASSIGN_OR_RETURN(const auto facts, table.Facts(FactKey(job, "")));
  const auto known = facts.find(FactKey(job, "commits"));
  if (known == facts.end() || known->second != crypto::Sha256(messages.front().message)) {
    return absl::DataLossError("the stored commitments to the graph seed are not those that this site revealed for");
  }
  DrawnGraph graph;
  for (const auto& [participant, commitment] : commits) {
    graph.participants.push_back(participant);
  }
  const auto drawn = facts.find(FactKey(job, "seed"));
  if (reveals.empty()) {
    if (drawn == facts.end()) {
      return absl::AbortedError("the graph seed is not drawn yet: no reveals came");
    }
    graph.seed = drawn->second;
    return graph;
  }
  CLOISTER_ASSIGN_OR_RETURN(const secagg::GraphReveals said, secagg::DecodeGraphReveals(reveals));
  CLOISTER_ASSIGN_OR_RETURN(graph.seed, secagg::CombineGraphReveals(job, commits, said));
  SumStepRows rows;
  rows.facts[FactKey(job, "seed")] = graph.seed;
  CLOISTER_RETURN_IF_ERROR(table.PutStep(SeedKey(job), kCommitPhase, rows));
  return graph;
}

}  // namespace cloister::site
