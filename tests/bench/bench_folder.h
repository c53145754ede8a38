#pragma once
// SPDX-License-Identifier: Apache-2.0

#include <filesystem>
#include <functional>

#include "protocols/base/status.h"

namespace cloister::bench {

// Measures in a folder of its own, which is removed afterwards; says what went wrong. The program's exit status.
int RunInTemporaryFolder(const std::function<absl::Status(const std::filesystem::path& folder)>& measure);

}  // namespace cloister::bench
