#pragma once
// SPDX-License-Identifier: Apache-2.0
// The secrets a site keeps in its data folder, each file 0600: the site secret, from which pseudonyms, splits and
// rounding come and which lives as long as the site, and one random secret per job, which is removed when the job ends.

#include <filesystem>

#include "protocols/base/ids.h"
#include "protocols/crypto/secret.h"
#include "protocols/crypto/x25519.h"

namespace cloister::site {

// Made on first use. Copying the file to another machine repeats the site's pseudonyms, splits and rounding there.
absl::StatusOr<crypto::SecretBytes> LoadSiteSecret(const std::filesystem::path& data);

// Made on first use.
absl::StatusOr<crypto::SecretBytes> LoadJobSecret(const std::filesystem::path& data, const JobId& job);
// Overwritten, then removed. OK when there is none.
absl::Status EraseJobSecret(const std::filesystem::path& data, const JobId& job);

// The key that the site's acceptance names, to seal things for it: from the job's secret.
absl::StatusOr<crypto::X25519KeyPair> SealingKey(const crypto::SecretBytes& job_secret);

}  // namespace cloister::site
