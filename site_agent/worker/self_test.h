#pragma once
// SPDX-License-Identifier: Apache-2.0
// A job that tries to get out. "sandbox" tries every door and reports; the rest misbehave on purpose, for the agent's
// supervisor to be tested against, and only where CLOISTER_WORKER_SELF_TEST=1 is in the environment.

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "protocols/base/status.h"
#include "site_agent/worker/sandbox.h"

namespace cloister::site {

// INVALID_ARGUMENT unless `action` is "sandbox", or one of crash, hang, allocate, exit, garbage and the environment
// allows those.
absl::Status CheckSelfTest(const std::string& action);

// Call inside the sandbox. "sandbox" returns {"seccomp": true, "landlock_abi": n, "network_namespace": b, "warnings":
// [..], "attempts": {"connect": "refused" | "allowed", ...}, "contained": b}; the others do not return, but for
// "allocate", which fails with RESOURCE_EXHAUSTED once the limit is met.
absl::StatusOr<nlohmann::json> RunSelfTest(const std::string& action, const SandboxReport& report,
                                           const std::filesystem::path& job_folder);

}  // namespace cloister::site
