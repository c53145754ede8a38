#pragma once
// SPDX-License-Identifier: Apache-2.0
// The coordinator's configuration file, coordinator.yaml. Relative paths are relative to the file.

#include <filesystem>
#include <string>

#include "protocols/base/status.h"

namespace cloister::coordinator {

struct CoordinatorConfig {
  std::string listen;          // "0.0.0.0:7600"
  std::filesystem::path data;  // database, blobs; made with mode 0700
  std::filesystem::path
      certificates;  // ca.pem tls.pem tls.key signing.pem signing.key (protocols/transport/identity.h)
  std::string web_host;
  int web_port = 0;                 // 0: no status page
  std::filesystem::path web_users;  // "name:hash" lines, made by cloister-coordinator web-user
  uint64_t most_model_bytes = 0;
  std::string log_level;
};

// INVALID_ARGUMENT: "file:line:column: ...".
absl::StatusOr<CoordinatorConfig> ParseCoordinatorConfig(const std::string& text, const std::filesystem::path& file);
// Also NOT_FOUND (says how to get one), PERMISSION_DENIED.
absl::StatusOr<CoordinatorConfig> ReadCoordinatorConfig(const std::filesystem::path& file);

// A configuration to start from, with comments.
std::string SampleCoordinatorConfig();

}  // namespace cloister::coordinator
