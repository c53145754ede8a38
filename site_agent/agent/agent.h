#pragma once
// SPDX-License-Identifier: Apache-2.0
// The site agent: wires the desks together and runs them. One thread per experiment with open work, one for releases,
// one for sign-offs (which never waits for the network), one for serving, the puller's, and the lanes of long work;
// each loop wakes when there is new work, when something finished, and once a second, so that what people write into
// the database counts soon.

#include <memory>
#include <set>
#include <string>

#include "protocols/base/clock.h"
#include "protocols/crypto/signer.h"
#include "protocols/transport/stop.h"
#include "site_agent/agent/result_sink.h"
#include "site_agent/agent/site_config.h"
#include "site_agent/agent/worker_process.h"
#include "site_agent/cohort/study_source.h"
#include "site_agent/ingest/storage_scp.h"
#include "site_agent/link/coordinator_link.h"
#include "site_agent/storage/site_store.h"

namespace cloister::site {

// What an agent is made from; everything borrowed must outlive it.
struct AgentParts {
  SiteConfig config;
  SiteStore* store = nullptr;
  storage::BlobStore* blobs = nullptr;
  CoordinatorLink* link = nullptr;
  StudySource* source = nullptr;
  ResultSink* sink = nullptr;
  const Clock* clock = nullptr;
  crypto::CurrentSigner signer;
  crypto::Certificate ca;
  std::set<std::string> architectures = {"resnet18", "resnet34", "resnet18_gn", "resnet34_gn"};
  std::string version;
  std::map<std::string, std::string> worker_environment;
};

class Agent {
 public:
  // Loads the site's secrets. Codes as LoadSiteSecret.
  static absl::StatusOr<std::unique_ptr<Agent>> Create(AgentParts parts);
  ~Agent();  // Stop()

  // Starts the loops.
  void Start();
  // Ends workers, joins all threads. Idempotent.
  void Stop();

  // For StorageScp.
  absl::Status OnReceived(const ReceivedInstance& instance);

 private:
  struct Wiring;
  explicit Agent(std::unique_ptr<Wiring> wiring);
  std::unique_ptr<Wiring> wiring_;
};

// `program` beside the running one, unless configured.
std::filesystem::path WorkerProgram(const SiteConfig& config);

}  // namespace cloister::site
