// SPDX-License-Identifier: Apache-2.0
// A deny list on top of Landlock and the network namespace: LibTorch, oneDNN and OpenMP use too many calls for a short
// allow list that would still hold on the next Debian.

#include "site_agent/worker/seccomp_filter.h"

#include <fmt/format.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace cloister::site {
namespace {

constexpr const char* kDenied[] = {
    // The network, and everything else that talks to another process.
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "getsockopt",
    "setsockopt",
    "shutdown",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "shmget",
    "shmat",
    "msgget",
    "msgsnd",
    "msgrcv",
    "semget",
    "semop",
    "mq_open",
    "pidfd_open",
    "pidfd_getfd",
    "pidfd_send_signal",
    "kill",
    "tkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    // Other programs and other processes.
    "execve",
    "execveat",
    "fork",
    "vfork",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "kcmp",
    // The machine.
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "swapon",
    "swapoff",
    "reboot",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "iopl",
    "ioperm",
    "modify_ldt",
    "settimeofday",
    "clock_settime",
    "adjtimex",
    "clock_adjtime",
    "sethostname",
    "setdomainname",
    "syslog",
    "acct",
    "quotactl",
    "personality",
    "vhangup",
    "nfsservctl",
    // Kernel interfaces that a computation never needs and exploits often do.
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "add_key",
    "request_key",
    "keyctl",
    "setns",
    "unshare",
    "lookup_dcookie",
    "open_by_handle_at",
    "name_to_handle_at",
    "fanotify_init",
    "seccomp",
    "memfd_secret",
    // Identity and limits.
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setfsuid",
    "setfsgid",
    "setgroups",
    "capset",
    "setrlimit",
    "setpriority",
    "sched_setscheduler",
    "sched_setattr",
    // What Landlock does not watch: links that would lead the agent astray, and metadata of files that may be read.
    "symlink",
    "symlinkat",
    "link",
    "linkat",
    "mknod",
    "mknodat",
    "chmod",
    "fchmodat",
    "chown",
    "lchown",
    "fchown",
    "fchownat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "utime",
    "utimes",
    "utimensat",
    "futimesat",
};

// Their arguments lie behind a pointer, out of a filter's sight.
constexpr const char* kMissing[] = {"clone3", "openat2", "fchmodat2"};

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW), &seccomp_release) {}

  void Deny(const char* call, int error = EPERM) {
    const int number = seccomp_syscall_resolve_name(call);
    if (number != __NR_SCMP_ERROR) {  // a call that this libseccomp does not know is not one an older kernel has
      Note(seccomp_rule_add(context_.get(), SCMP_ACT_ERRNO(error), number, 0), call);
    }
  }

  void DenyIf(const char* call, const scmp_arg_cmp& condition) {
    const int number = seccomp_syscall_resolve_name(call);
    if (number != __NR_SCMP_ERROR) {
      Note(seccomp_rule_add_array(context_.get(), SCMP_ACT_ERRNO(EPERM), number, 1, &condition), call);
    }
  }

  absl::Status Load() {
    if (context_ == nullptr) {
      return absl::FailedPreconditionError("sandbox: no seccomp filter can be made");
    }
    Note(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1), "thread synchronisation");
    if (error_ == 0) {
      Note(seccomp_load(context_.get()), "loading the filter");
    }
    if (error_ == 0) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(fmt::format("sandbox: seccomp: {}: {}", what_, std::strerror(error_)));
  }

 private:
  void Note(int result, const char* what) {
    if (result != 0 && error_ == 0) {
      error_ = -result;
      what_ = what;
    }
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int error_ = 0;
  std::string what_;
};

}  // namespace

absl::Status InstallSeccompFilter() {
  Filter filter;
  for (const char* call : kDenied) {
    filter.Deny(call);
  }
  for (const char* call : kMissing) {
    filter.Deny(call, ENOSYS);
  }
  // Threads, but no processes.
  filter.DenyIf("clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  // A signal to itself (abort), but to nobody else.
  filter.DenyIf("tgkill", SCMP_A0(SCMP_CMP_NE, static_cast<scmp_datum_t>(getpid())));
  // Limits may be read, not set.
  filter.DenyIf("prlimit64", SCMP_A2(SCMP_CMP_NE, 0));
  // No file of ours becomes another user's program.
  for (const scmp_datum_t bit : {static_cast<scmp_datum_t>(S_ISUID), static_cast<scmp_datum_t>(S_ISGID)}) {
    filter.DenyIf("open", SCMP_A2(SCMP_CMP_MASKED_EQ, bit, bit));
    filter.DenyIf("openat", SCMP_A3(SCMP_CMP_MASKED_EQ, bit, bit));
    filter.DenyIf("creat", SCMP_A1(SCMP_CMP_MASKED_EQ, bit, bit));
    filter.DenyIf("fchmod", SCMP_A1(SCMP_CMP_MASKED_EQ, bit, bit));
    filter.DenyIf("mkdir", SCMP_A1(SCMP_CMP_MASKED_EQ, bit, bit));
    filter.DenyIf("mkdirat", SCMP_A2(SCMP_CMP_MASKED_EQ, bit, bit));
  }
  // Typing into the terminal the agent was started from.
  filter.DenyIf("ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xFFFFFFFFu, TIOCSTI));
  filter.DenyIf("ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xFFFFFFFFu, TIOCLINUX));
  return filter.Load();
}

}  // namespace cloister::site
