// SPDX-License-Identifier: Apache-2.0
// The environment and exec.

#include "site_agent/worker/startup.h"

#include <unistd.h>

#include <cstdlib>

namespace cloister::site {
namespace {

constexpr char kRestarted[] = "CLOISTER_WORKER_RESTARTED";

// The fastest kernels of OpenBLAS that this processor runs; null where OpenBLAS should look for itself.
const char* CoreType() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    return "SkylakeX";
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return "Haswell";
  }
#endif
  return nullptr;
}

// Returns whether `name` had to be set.
bool SetIfAbsent(const char* name, const char* value) {
  if (value == nullptr || std::getenv(name) != nullptr) {
    return false;
  }
  setenv(name, value, 1);
  return true;
}

}  // namespace

void RestartWithComputeEnvironment(char** argv) {
  const bool core = SetIfAbsent("OPENBLAS_CORETYPE", CoreType());
  const bool wait = SetIfAbsent("OMP_WAIT_POLICY", "passive");
  if ((!core && !wait) || std::getenv(kRestarted) != nullptr) {
    return;
  }
  setenv(kRestarted, "1", 1);
  execv("/proc/self/exe", argv);
  // Slower, but not wrong: go on as we are.
}

}  // namespace cloister::site
