#pragma once
// SPDX-License-Identifier: Apache-2.0
// Whether an agent runs at this site, from what it wrote last into the store.

#include <string>

#include "site_agent/storage/progress_table.h"

namespace cloister::site {

struct AgentLife {
  bool alive = false;
  int64_t heartbeat_unix_ms = 0;  // 0: never
  std::string pid;
  std::string version;
  std::string coordinator;  // "connected", or why not
};

// Not alive: no process of its number, said goodbye, or silent for 90 seconds.
absl::StatusOr<AgentLife> ReadAgentLife(const ProgressTable& table, int64_t now_unix_ms);

}  // namespace cloister::site
