#pragma once
// SPDX-License-Identifier: Apache-2.0
// operator.yaml: which coordinator, and where the operator's own identity lies. `cloister enroll` writes one.

#include <filesystem>
#include <string>

#include "protocols/base/status.h"

namespace cloister::coordinator {

struct OperatorConfig {
  std::string coordinator;             // host:port
  std::filesystem::path certificates;  // folder (protocols/transport/identity.h)
  std::filesystem::path tasks;         // folder of task files; empty: the installed ones
  std::filesystem::path worker;        // program; empty: cloister-worker beside this one
};

// Relative paths are relative to the file. INVALID_ARGUMENT: "file:line:column: ..."; NOT_FOUND: with the way to get
// one.
absl::StatusOr<OperatorConfig> ReadOperatorConfig(const std::filesystem::path& file);

std::string OperatorConfigText(const std::string& coordinator);

// $XDG_CONFIG_HOME/cloister or ~/.config/cloister.
std::filesystem::path DefaultFolder();

// The folder of the running program.
std::filesystem::path ProgramFolder();

}  // namespace cloister::coordinator
