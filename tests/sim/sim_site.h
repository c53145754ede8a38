#pragma once
// SPDX-License-Identifier: Apache-2.0
// A site in a simulation: real protocol, toy training. What it must not forget is its "disk"; Restart() leaves it
// nothing else.

#include <map>
#include <optional>
#include <vector>

#include "eval/metrics/case.h"
#include "protocols/crypto/signer.h"
#include "protocols/crypto/x25519.h"
#include "protocols/plan/experiment.h"
#include "protocols/plan/sums.h"
#include "protocols/secagg/client_session.h"
#include "protocols/secagg/graph_seed.h"
#include "protocols/storage/blob_store.h"
#include "protocols/wire/messages.h"

namespace cloister::sim {

// What a site would add in a training round: the oracle of the simulation.
struct PlainUpdate {
  std::vector<uint32_t> residues;
  plan::TrainCounters counters;
};

class SimSite {
 public:
  SimSite(int number, crypto::Signer signer, crypto::Certificate ca, absl::Time now);

  const SiteId& id() const { return id_; }

  // The answer to an open item: deterministic, so it may be asked again after any crash. Uploads go into `blobs`,
  // models come from there.
  absl::StatusOr<std::vector<wire::SiteMessage>> Work(const wire::WorkItem& item, storage::BlobStore& blobs);
  // A new process: only the disk is left.
  void Restart() { session_.reset(); }

  // What it adds in `round` when it starts from `global`.
  PlainUpdate Train(const plan::Experiment& experiment, uint32_t round, absl::Span<const float> global) const;

 private:
  absl::StatusOr<wire::SiteMessage> Answer(const wire::ExperimentOffer& offer);
  absl::StatusOr<wire::SiteMessage> Reveal(const wire::GraphSeedTask& task);
  absl::StatusOr<std::vector<wire::SiteMessage>> TakePart(const wire::SumStep& step, storage::BlobStore& blobs);
  absl::Status OpenSession(const wire::SumStep& step, storage::BlobStore& blobs);
  absl::StatusOr<Bytes> Hear(const Bytes& message, const wire::SumStep& step, storage::BlobStore& blobs);
  absl::StatusOr<Bytes> MaskAndCommit(const wire::SumStep& step, storage::BlobStore& blobs);
  absl::Status Keep(const std::vector<secagg::Fact>& facts);
  std::vector<uint64_t> Histograms(const std::vector<plan::SumModel>& models, plan::SumKind kind) const;
  absl::StatusOr<wire::SiteSummary> Summary(const wire::SumStep& step) const;
  eval::Cases TestCases() const;

  const int number_;
  const SiteId id_;
  const crypto::Signer signer_;
  const crypto::Certificate ca_;
  const absl::Time now_;

  // Disk.
  crypto::SecretBytes job_secret_;
  std::optional<plan::Experiment> experiment_;
  Digest plan_digest_;
  secagg::Facts facts_;
  secagg::GraphCommits commits_;  // of the graph seed, if one is drawn
  std::optional<Digest> graph_seed_;
  std::string sum_name_;      // of the sum that `heard_` is about
  std::vector<Bytes> heard_;  // what the coordinator said in it

  // Memory.
  std::optional<secagg::ClientSession> session_;
  std::vector<Digest> uploaded_;  // masked vectors
  Bytes commit_;                  // what was said about them
};

std::vector<plan::SumModel> PlanModels(const std::vector<wire::ModelRef>& models);

}  // namespace cloister::sim
