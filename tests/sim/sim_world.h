#pragma once
// SPDX-License-Identifier: Apache-2.0
// A whole federation in one thread with a virtual clock: the coordinator's jobs on a real database and spool, sites
// with the real protocol, and misfortune by the dice: sites that stop, restart or miss replies, a coordinator that is
// killed between any two messages.

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "coordinator/service/job.h"
#include "protocols/storage/database.h"
#include "tests/sim/memory_dir.h"
#include "tests/sim/sim_plan.h"
#include "tests/sim/sim_site.h"
#include "tests/support/test_consortium.h"

namespace cloister::sim {

struct WorldOptions {
  int sites = 4;
  PlanOptions plan;
  uint64_t seed = 1;
  // Chances, per message that a site would send.
  double site_restarts = 0;         // before it answers
  double reply_lost = 0;            // the coordinator has it, the site does not know
  double site_goes_away = 0;        // for a random while, up to three minutes
  double coordinator_restarts = 0;  // before or after the message
  double database_fails = 0;        // when the message comes for the first time
  // The coordinator is down for three deadlines after every change of what it waits for.
  bool long_outages = false;
  // Sites that never answer from a phase of a round on: {round, phase, site}.
  std::map<int, std::pair<uint32_t, wire::SumPhase>> lost_sites;
  // Sites that never answer once they are asked to reveal their part of the graph seed.
  std::set<int> withheld_reveals;
  // As lost_sites, but they come back two deadlines later.
  std::map<int, std::pair<uint32_t, wire::SumPhase>> away_sites;
  bool learns = false;              // every site does
  std::map<int, Conduct> conducts;  // of sites that are not like the others
};

class World {
 public:
  explicit World(testing::TestConsortium& consortium, const WorldOptions& options);

  // Until the experiment has ended and every site that is there has heard of it, or nothing can happen any more.
  void Run();

  const coordinator::Job& job() const { return *job_; }
  wire::ExperimentPhase phase() const { return job_->machine().phase(); }
  const plan::Experiment& experiment() const { return experiment_; }
  // The bytes of the global model with this index: of that round, while none was skipped.
  Bytes Model(uint32_t index) const;
  // The same, computed in the clear from the plain updates of its round's survivors.
  Bytes Oracle(uint32_t index) const;
  // coordinator::RecountRound of what lies in the coordinator's folder.
  absl::StatusOr<std::string> Recount(uint32_t round) const;
  storage::BlobStore& blobs() { return *blobs_; }
  storage::Database& database() { return *database_; }
  // Everything people were told, a line each.
  std::string Notes() const;
  // Blobs that lie in the coordinator's store.
  size_t BlobCount() const { return blobs_->List().value().size(); }
  absl::Time now() const { return clock_.Now(); }
  int messages() const { return messages_; }
  int coordinator_restarts() const { return restarts_; }

 private:
  bool Chance(double probability) { return std::uniform_real_distribution<double>(0, 1)(dice_) < probability; }
  void RestartCoordinator();
  void NoteUploads(const SiteId& site, const wire::SiteMessage& message);
  bool Visit(SimSite& site);  // true: something happened
  bool IsLost(const SimSite& site, const wire::WorkItem& item);

  const WorldOptions options_;
  MemoryDir folder_;
  std::mt19937_64 dice_;
  FakeClock clock_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<storage::BlobStore> blobs_;
  std::unique_ptr<coordinator::JobContext> context_;
  plan::Experiment experiment_;
  coordinator::StoredExperiment stored_;
  std::unique_ptr<coordinator::Job> job_;
  std::vector<SimSite> sites_;
  std::map<SiteId, absl::Time> away_until_;
  std::set<SiteId> lost_;
  std::map<SiteId, std::string> refused_;  // key of the item whose answer was refused: not tried again
  std::set<std::string> outages_;          // what the coordinator waited for when it went down
  int messages_ = 0;
  int restarts_ = 0;
};

}  // namespace cloister::sim
