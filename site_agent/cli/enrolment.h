#pragma once
// SPDX-License-Identifier: Apache-2.0
// A new site: its folders and sample files, its keys and certificate requests, and the certificates that come back.

#include <filesystem>
#include <string>

#include "site_agent/cli/command.h"

namespace cloister::site {

// Writes site.yaml and policy.yaml to start from, and the folders data and certificates (0700). ALREADY_EXISTS: there
// is a site.yaml, and nothing was changed; a policy.yaml that is there stays.
absl::Status InitSite(const Session& session, const std::string& site, const std::filesystem::path& folder);

// Makes the keys (0600) unless they are there, writes site.csr, prints the fingerprints. Renewing is the same again.
absl::Status RequestCertificates(const Session& session, const SiteConfig& config);

// Installs the bundle that `cloister ca approve` wrote. INVALID_ARGUMENT, UNAUTHENTICATED: not for this site, these
// keys or this role, not valid now, or from another CA; then nothing was changed.
absl::Status InstallCertificates(const Session& session, const SiteConfig& config, const std::filesystem::path& bundle);

}  // namespace cloister::site
