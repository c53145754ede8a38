#pragma once
// SPDX-License-Identifier: Apache-2.0
// coordinator.yaml: where it listens, where it keeps things, who it is.

#include <filesystem>
#include <string>

#include "protocols/base/status.h"

namespace cloister::coordinator {

struct ServerConfig {
  std::string listen;                  // host:port that sites and operators dial
  std::filesystem::path data;          // database and blobs; 0700
  std::filesystem::path certificates;  // folder (protocols/transport/identity.h)
  std::string web_host;
  int web_port = 0;                 // 0: no status page
  std::filesystem::path web_users;  // name:hash lines, made by cloister-coordinator web-user
  std::string log_level;
};

// Relative paths are relative to the file. INVALID_ARGUMENT: "file:line:column: ..."; NOT_FOUND: with what to do.
absl::StatusOr<ServerConfig> ReadServerConfig(const std::filesystem::path& file);

// A configuration to start from, with comments.
std::string SampleServerConfig();

}  // namespace cloister::coordinator
