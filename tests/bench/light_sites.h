#pragma once
// SPDX-License-Identifier: Apache-2.0
// Hundreds of sites in one process, over real connections: each has its own certificate, long poll and secure-sum
// session and sends real messages and masked vectors, but trains nothing and keeps nothing on a disk. A few threads
// serve them all. What they add up is known in advance, so the published totals are checked against plain integers.

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "protocols/plan/experiment.h"
#include "protocols/plan/sum_result.h"
#include "protocols/secagg/client_session.h"
#include "protocols/secagg/graph_seed.h"
#include "protocols/storage/blob_store.h"
#include "protocols/transport/blob_client.h"
#include "protocols/transport/stop.h"
#include "protocols/transport/task_queue.h"
#include "protocols/wire/cloister.grpc.pb.h"
#include "protocols/wire/messages.h"
#include "tests/bench/bench_consortium.h"

namespace cloister::bench {

struct LightOptions {
  int sites = 4;
  uint32_t rounds = 1;
  double dropouts = 0;  // the share of the sites that fail in every round, spread over the five phases
  int threads = 4;      // that mask, check signatures and upload
};

// Bytes of messages and blobs, without what TLS and HTTP/2 add.
struct Traffic {
  uint64_t up = 0;
  uint64_t down = 0;
};

class LightSites {
 public:
  // Called when the first site hears of a phase; round `options.rounds` + 1 begins when the last counted one is over.
  using OnPhase = std::function<void(uint32_t round, wire::SumPhase phase)>;

  // Makes the identities.
  static absl::StatusOr<std::unique_ptr<LightSites>> Create(const LightOptions& options, const Identities& identities,
                                                            const std::filesystem::path& folder);
  ~LightSites();

  void Start(int port, OnPhase on_phase);
  // Waits until every counted round is over and its totals are checked. The first thing that went wrong, if any.
  absl::Status Join();

  Traffic traffic() const { return {up_, down_}; }
  size_t survivors(uint32_t round) const { return masked_.at(round).size(); }
  // Sites that shared their secrets and sent no masked vector: their masks with everybody have to be taken off.
  size_t lost_masks() const { return lost_masks_; }

 private:
  struct Site;
  struct Round;  // what all sites know of the round

  LightSites(const LightOptions& options, const crypto::Certificate& ca, storage::BlobStore store);
  void Poll(Site& site);
  void AwaitPolls();
  void Work(Site& site);
  absl::Status Do(Site& site, const wire::WorkItem& item);
  absl::Status Accept(Site& site, const wire::ExperimentOffer& offer);
  absl::Status Reveal(Site& site, const wire::GraphSeedTask& task);
  absl::Status TakePart(Site& site, const wire::SumStep& step);
  absl::Status Begin(Site& site, const Round& round);
  absl::Status MaskAndUpload(Site& site, const wire::SumStep& step, wire::SumMessage& message);
  absl::Status Submit(Site& site, const wire::SiteMessage& message);
  absl::Status Fetch(Site& site, const Digest& blob);  // and forgets it
  absl::StatusOr<std::shared_ptr<const Round>> RoundOf(Site& site, const wire::SumStep& step);
  absl::Status CheckTotals(uint32_t round, const plan::SumResult& totals) const;
  void Fail(const absl::Status& status);

  const LightOptions options_;
  const crypto::Certificate ca_;
  const SystemClock clock_;
  storage::BlobStore store_;  // of what one site fetches for all
  std::vector<std::unique_ptr<Site>> sites_;
  OnPhase on_phase_;
  std::atomic<uint64_t> up_{0};
  std::atomic<uint64_t> down_{0};
  size_t lost_masks_ = 0;

  std::mutex mutex_;  // guards what follows
  std::shared_ptr<const plan::Experiment> experiment_;
  Digest plan_digest_;
  secagg::GraphCommits commits_;  // to the graph seed; empty on the full graph
  std::shared_ptr<const Round> round_;
  std::set<std::pair<uint32_t, wire::SumPhase>> seen_;
  std::map<uint32_t, std::set<SiteId>> masked_;  // whose masked vectors were taken, by round
  absl::Status status_;

  transport::StopSource over_;
  grpc::CompletionQueue polls_;
  std::thread poller_;
  std::unique_ptr<transport::TaskQueue> workers_;
};

}  // namespace cloister::bench
