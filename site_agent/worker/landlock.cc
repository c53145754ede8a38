// SPDX-License-Identifier: Apache-2.0
// Rights by version: https://docs.kernel.org/userspace-api/landlock.html

#include "site_agent/worker/landlock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "protocols/base/descriptor.h"

namespace cloister::site {
namespace {

// struct landlock_ruleset_attr as of version 6; older kernels take a prefix of it.
struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};

constexpr uint64_t kExecute = uint64_t{1} << 0;
constexpr uint64_t kWriteFile = uint64_t{1} << 1;
constexpr uint64_t kReadFile = uint64_t{1} << 2;
constexpr uint64_t kReadDir = uint64_t{1} << 3;
constexpr uint64_t kTruncate = uint64_t{1} << 14;  // version 3
constexpr uint64_t kFileRights = kWriteFile | kReadFile | kTruncate;

uint64_t AllFileRights(int abi) {
  uint64_t rights = (uint64_t{1} << 13) - 1;   // version 1
  rights |= abi >= 2 ? uint64_t{1} << 13 : 0;  // refer
  rights |= abi >= 3 ? kTruncate : 0;
  rights |= abi >= 5 ? uint64_t{1} << 15 : 0;  // ioctl on devices
  return rights;
}

// Of links, sockets, pipes and devices the worker makes none.
constexpr uint64_t kNeverGranted = kExecute | (uint64_t{1} << 6) /* make_char */ | (uint64_t{1} << 9) /* make_sock */ |
                                   (uint64_t{1} << 10) /* make_fifo */ | (uint64_t{1} << 11) /* make_block */ |
                                   (uint64_t{1} << 12) /* make_sym */;

absl::Status Refused(const std::string& what, int error) {
  return absl::FailedPreconditionError(fmt::format("sandbox: Landlock: {}: {}", what, std::strerror(error)));
}

absl::Status Allow(int ruleset, const std::filesystem::path& path, uint64_t rights) {
  const Descriptor descriptor(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!descriptor.valid()) {
    return errno == ENOENT || errno == ENOTDIR ? absl::OkStatus() : Refused(path.string(), errno);
  }
  struct stat status = {};
  if (fstat(descriptor.get(), &status) != 0) {
    return Refused(path.string(), errno);
  }
  landlock_path_beneath_attr rule = {};
  rule.parent_fd = descriptor.get();
  rule.allowed_access = S_ISDIR(status.st_mode) ? rights : rights & kFileRights;
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return Refused(path.string(), errno);
  }
  return absl::OkStatus();
}

}  // namespace

int LandlockAbi() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi > 0 ? static_cast<int>(abi) : 0;
}

absl::Status RestrictFiles(const std::vector<std::filesystem::path>& readable,
                           const std::vector<std::filesystem::path>& writable) {
  const int abi = LandlockAbi();
  RulesetAttributes attributes = {};
  attributes.handled_access_fs = AllFileRights(abi);
  attributes.handled_access_net = abi >= 4 ? 3 : 0;  // bind and connect TCP
  attributes.scoped = abi >= 6 ? 3 : 0;              // abstract unix sockets, signals
  const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const Descriptor ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset.valid()) {
    return Refused("a rule set", errno);
  }
  for (const std::filesystem::path& path : readable) {
    CLOISTER_RETURN_IF_ERROR(Allow(ruleset.get(), path, kReadFile | kReadDir));
  }
  for (const std::filesystem::path& path : writable) {
    CLOISTER_RETURN_IF_ERROR(Allow(ruleset.get(), path, AllFileRights(abi) & ~kNeverGranted));
  }
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return Refused("restricting", errno);
  }
  return absl::OkStatus();
}

}  // namespace cloister::site
