// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/agent_life.h"

#include <signal.h>

#include <cerrno>
#include <cstdlib>

namespace cloister::site {
namespace {

constexpr int64_t kSilentMs = 90'000;

// An agent that ended in order leaves "".
bool ProcessIsGone(const std::string& pid) {
  const long number = std::strtol(pid.c_str(), nullptr, 10);
  return number <= 1 || (kill(static_cast<pid_t>(number), 0) != 0 && errno == ESRCH);
}

}  // namespace

absl::StatusOr<AgentLife> ReadAgentLife(const ProgressTable& table, int64_t now_unix_ms) {
  AgentLife life;
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<std::string> heartbeat, table.Fact("heartbeat_unix_ms"));
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<std::string> pid, table.Fact("agent_pid"));
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<std::string> version, table.Fact("agent_version"));
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<std::string> coordinator, table.Fact("coordinator"));
  life.pid = pid.value_or("");
  life.version = version.value_or("");
  life.coordinator = coordinator.value_or("");
  life.heartbeat_unix_ms = std::strtoll(heartbeat.value_or("0").c_str(), nullptr, 10);
  const bool gone = pid.has_value() && ProcessIsGone(*pid);
  life.alive = !gone && now_unix_ms - life.heartbeat_unix_ms <= kSilentMs;
  return life;
}

}  // namespace cloister::site
