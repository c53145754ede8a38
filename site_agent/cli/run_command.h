#pragma once
// SPDX-License-Identifier: Apache-2.0
// `cloister-site run`: opens everything a site has and runs the agent until SIGTERM or SIGINT.

#include "protocols/base/status.h"
#include "site_agent/agent/site_config.h"

namespace cloister::site {

// Returns when told to stop. FAILED_PRECONDITION: another agent runs with this data folder, or the portal's port is in
// use; ALREADY_EXISTS: our DICOM port is in use; NOT_FOUND, UNAUTHENTICATED: our certificates (says what to do);
// INVALID_ARGUMENT: the policy or users file.
absl::Status RunAgent(const SiteConfig& config);

}  // namespace cloister::site
