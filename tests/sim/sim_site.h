#pragma once
// SPDX-License-Identifier: Apache-2.0
// A site in a simulation: real protocol, toy training. What it must not forget is its "disk"; Restart() leaves it
// nothing else.

#include <map>
#include <optional>
#include <set>
#include <string>
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
  std::vector<uint32_t> narrow;  // residues of up to 32 bits
  std::vector<uint64_t> wide;    // of 64 bits
  plan::TrainCounters counters;
};

enum class Misdeed {
  kNone,
  kFlippedLabels,  // trains on wrong labels
  kScaled,         // the same, and sends a hundred times the update
  kNotFinite,      // its worker gives NaN
  kOtherVector,    // commits to a vector that does not have its tag
  kBadShares,      // deals the others what does not open
};

struct Conduct {
  bool learns = false;  // the task of toy_task.h; else it moves towards a point of its own and its scores never change
  Misdeed misdeed = Misdeed::kNone;
  uint32_t first_round = 1;  // of the misdeed
  uint32_t last_round = ~uint32_t{0};
};

class SimSite {
 public:
  SimSite(int number, crypto::Signer signer, crypto::Certificate ca, absl::Time now, Conduct conduct = {});

  const SiteId& id() const { return id_; }

  // The answer to an open item: deterministic, so it may be asked again after any crash. Uploads go into `blobs`,
  // models come from there.
  absl::StatusOr<std::vector<wire::SiteMessage>> Work(const wire::WorkItem& item, storage::BlobStore& blobs);
  // A new process: only the disk is left.
  void Restart() { session_.reset(); }

  // What it adds in `round` when it starts from `global`. INVALID_ARGUMENT: a value that is not finite.
  absl::StatusOr<PlainUpdate> Train(const plan::Experiment& experiment, uint32_t round,
                                    absl::Span<const float> global) const;

 private:
  absl::StatusOr<wire::SiteMessage> Answer(const wire::ExperimentOffer& offer);
  absl::StatusOr<wire::SiteMessage> Reveal(const wire::GraphSeedTask& task);
  absl::StatusOr<std::vector<wire::SiteMessage>> TakePart(const wire::SumStep& step, storage::BlobStore& blobs);
  absl::Status OpenSession(const wire::SumStep& step, storage::BlobStore& blobs);
  absl::StatusOr<Bytes> Hear(const Bytes& message, const wire::SumStep& step, storage::BlobStore& blobs);
  absl::StatusOr<Bytes> MaskAndCommit(const wire::SumStep& step, storage::BlobStore& blobs);
  absl::Status Keep(const std::vector<secagg::Fact>& facts);
  // As site::ModelChain does it: do the newest model, and the refusals since, follow from the totals? ABORTED: they do
  // not have the sites' tags; DATA_LOSS: the coordinator lies.
  absl::Status CheckModel(const wire::ModelRef& model, storage::BlobStore& blobs);
  absl::StatusOr<std::vector<uint64_t>> Histograms(const wire::SumStep& step, storage::BlobStore& blobs) const;
  absl::StatusOr<wire::SiteSummary> Summary(const wire::SumStep& step, storage::BlobStore& blobs) const;
  absl::StatusOr<eval::Cases> TestCases(const std::vector<wire::ModelRef>& models, storage::BlobStore& blobs) const;
  bool Does(Misdeed misdeed, uint32_t round) const {
    return conduct_.misdeed == misdeed && round >= conduct_.first_round && round <= conduct_.last_round;
  }

  const int number_;
  const SiteId id_;
  const crypto::Signer signer_;
  const crypto::Certificate ca_;
  const absl::Time now_;
  const Conduct conduct_;

  // Disk.
  crypto::SecretBytes job_secret_;
  std::optional<plan::Experiment> experiment_;
  Digest plan_digest_;
  secagg::Facts facts_;
  secagg::GraphCommits commits_;  // of the graph seed, if one is drawn
  std::optional<Digest> graph_seed_;
  std::map<uint32_t, secagg::SumCheck> checks_;  // of finished training rounds
  std::set<Digest> checked_;                     // models and refused totals
  std::string sum_name_;                         // of the sum that `heard_` is about
  std::vector<Bytes> heard_;                     // what the coordinator said in it

  // Memory.
  std::optional<secagg::ClientSession> session_;
  std::vector<Digest> uploaded_;  // masked vectors
  Bytes commit_;                  // what was said about them
};

std::vector<plan::SumModel> PlanModels(const std::vector<wire::ModelRef>& models);

}  // namespace cloister::sim
