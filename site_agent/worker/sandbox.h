#pragma once
// SPDX-License-Identifier: Apache-2.0
// What a worker may still do once it has read its job: compute, read what the job names, write into its own folder.
// Images and imported models are hostile input; this is what stands between them and the rest of the hospital.
//
// In this order: inherited descriptors closed, limits set, own network namespace (when permitted), capabilities
// dropped, no_new_privs, Landlock (when the kernel has it), seccomp (always).

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::site {

struct SandboxOptions {
  std::filesystem::path job_folder;             // read and write
  std::vector<std::filesystem::path> readable;  // files, or folders with all that is in them
  uint64_t memory_bytes = 0;                    // of private writable memory; 0: no limit
};

struct SandboxReport {
  bool network_namespace = false;
  int landlock_abi = 0;               // 0: the kernel has none
  std::vector<std::string> warnings;  // of the layers that are missing; seccomp is never among them
};

// Cannot be undone. Call once, from the only thread.
// FAILED_PRECONDITION: other threads run already, or seccomp or a limit cannot be had. NOT_FOUND: no job folder.
absl::StatusOr<SandboxReport> EnterSandbox(const SandboxOptions& options);

}  // namespace cloister::site
