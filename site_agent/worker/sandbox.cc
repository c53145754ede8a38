// SPDX-License-Identifier: Apache-2.0
// The layers, outermost first.

#include "site_agent/worker/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "site_agent/worker/landlock.h"
#include "site_agent/worker/seccomp_filter.h"

namespace cloister::site {
namespace {

// Lazily read by the C library, OpenMP, oneDNN and DCMTK: shared objects, time zones, the DICOM dictionary, processor
// facts.
constexpr const char* kSystemPaths[] = {
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/dcmtk",
    "/dev/null",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
};

absl::Status Refused(const std::string& what) {
  return absl::FailedPreconditionError(fmt::format("sandbox: {}: {}", what, std::strerror(errno)));
}

size_t ThreadCount() {
  std::error_code error;
  size_t count = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/task", error); !error && it != end(it);
       it.increment(error)) {
    ++count;
  }
  return count;
}

absl::Status SetLimit(__rlimit_resource resource, uint64_t value, const char* what) {
  rlimit limit = {};
  if (getrlimit(resource, &limit) != 0) {
    return Refused(what);
  }
  limit.rlim_max = std::min<rlim_t>(limit.rlim_max, value);
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit) == 0 ? absl::OkStatus() : Refused(what);
}

absl::Status SetLimits(uint64_t memory_bytes) {
  CLOISTER_RETURN_IF_ERROR(SetLimit(RLIMIT_CORE, 0, "core limit"));
  if (memory_bytes > 0) {
    // RLIMIT_DATA counts what can be written to and is private: heap, buffers, thread stacks. RLIMIT_AS also counts
    // libraries and mapped models, hence the room.
    CLOISTER_RETURN_IF_ERROR(SetLimit(RLIMIT_DATA, memory_bytes, "memory limit"));
    CLOISTER_RETURN_IF_ERROR(SetLimit(RLIMIT_AS, memory_bytes + (uint64_t{16} << 30), "address space limit"));
  }
  return absl::OkStatus();
}

void WriteProc(const char* path, const std::string& text) {
  const int descriptor = open(path, O_WRONLY | O_CLOEXEC);
  if (descriptor >= 0) {
    [[maybe_unused]] const ssize_t ignored = write(descriptor, text.data(), text.size());
    close(descriptor);
  }
}

// A network namespace without interfaces: as root directly, else inside a user namespace where the machine allows it.
bool LeaveNetwork() {
  if (unshare(CLONE_NEWNET | CLONE_NEWIPC) == 0) {
    return true;
  }
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) != 0) {
    return false;
  }
  WriteProc("/proc/self/setgroups", "deny");
  WriteProc("/proc/self/uid_map", fmt::format("{} {} 1", user, user));
  WriteProc("/proc/self/gid_map", fmt::format("{} {} 1", group, group));
  return true;
}

absl::Status DropCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0 ? absl::OkStatus() : Refused("dropping capabilities");
}

}  // namespace

absl::StatusOr<SandboxReport> EnterSandbox(const SandboxOptions& options) {
  if (!std::filesystem::is_directory(options.job_folder)) {
    return absl::NotFoundError("sandbox: no job folder " + options.job_folder.string());
  }
  if (const size_t threads = ThreadCount(); threads != 1) {
    return absl::FailedPreconditionError(fmt::format("sandbox: {} threads run already", threads));
  }
  if (syscall(SYS_close_range, 3u, ~0u, 0u) != 0) {
    return Refused("closing inherited descriptors");
  }
  CLOISTER_RETURN_IF_ERROR(SetLimits(options.memory_bytes));
  // Libraries that want scratch files find only one place that takes them.
  setenv("TMPDIR", options.job_folder.c_str(), 1);

  SandboxReport report;
  report.network_namespace = LeaveNetwork();
  if (!report.network_namespace) {
    report.warnings.push_back(
        "no network namespace here (needs root or user namespaces); seccomp alone refuses sockets");
  }
  CLOISTER_RETURN_IF_ERROR(DropCapabilities());
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Refused("no_new_privs");
  }
  report.landlock_abi = LandlockAbi();
  if (report.landlock_abi > 0) {
    std::vector<std::filesystem::path> readable(std::begin(kSystemPaths), std::end(kSystemPaths));
    readable.insert(readable.end(), options.readable.begin(), options.readable.end());
    CLOISTER_RETURN_IF_ERROR(RestrictFiles(readable, {options.job_folder}));
  } else {
    report.warnings.push_back("no Landlock in this kernel: files are protected by ownership only");
  }
  CLOISTER_RETURN_IF_ERROR(InstallSeccompFilter());
  return report;
}

}  // namespace cloister::site
