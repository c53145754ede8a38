#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the agent's desks share: borrowed pointers, wired once in agent.cc (and in tests), and the lanes of long work.

#include <functional>
#include <set>
#include <string>

#include "protocols/base/clock.h"
#include "protocols/crypto/signer.h"
#include "site_agent/agent/background.h"
#include "site_agent/agent/cohort_desk.h"
#include "site_agent/agent/egress_gate.h"
#include "site_agent/agent/model_chain.h"
#include "site_agent/agent/model_store.h"
#include "site_agent/agent/site_config.h"
#include "site_agent/agent/worker_jobs.h"
#include "site_agent/policy/policy.h"
#include "site_agent/storage/site_store.h"

namespace cloister::site {

inline constexpr size_t kTrainingLane = 0;
inline constexpr size_t kServingLane = 1;
inline constexpr size_t kCohortLane = 2;
inline constexpr size_t kLanes = 3;

struct SiteContext {
  const SiteConfig* config = nullptr;
  SiteStore* store = nullptr;
  EgressGate* egress = nullptr;
  ModelStore* models = nullptr;
  ModelChain* chain = nullptr;
  WorkerJobs* jobs = nullptr;
  CohortDesk* cohorts = nullptr;
  Background* background = nullptr;
  crypto::CurrentSigner signer;
  const crypto::Certificate* ca = nullptr;
  const crypto::SecretBytes* site_secret = nullptr;
  const Clock* clock = nullptr;
  std::function<absl::StatusOr<Policy>()> policy;  // read again each time, so that an edit counts at once
  std::set<std::string> architectures;             // that the worker knows
  std::string version;                             // of this program

  int64_t NowUnixMs() const { return absl::ToUnixMillis(clock->Now()); }
  const SiteId& site() const { return config->site; }
  // A line for people, into the log and the portal's list.
  void Tell(const std::string& job, const std::string& text) const;
};

}  // namespace cloister::site
