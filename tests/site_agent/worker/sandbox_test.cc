// SPDX-License-Identifier: Apache-2.0
// Each attempt runs in a child process that enters the sandbox first, because there is no way back out.

#include "site_agent/worker/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "site_agent/worker/landlock.h"
#include "site_agent/worker/seccomp_filter.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

constexpr int kRefused = 10;
constexpr int kAllowed = 11;
constexpr int kNoSandbox = 12;

class SandboxTest : public ::testing::Test {
 protected:
  SandboxTest() {
    std::filesystem::create_directory(job());
    std::ofstream(outside() / "named") << "named in the job";
    std::ofstream(outside() / "secret") << "not named";
  }

  std::filesystem::path job() const { return dir_.path() / "job"; }
  const std::filesystem::path& outside() const { return dir_.path(); }

  void SetUp() override {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "ThreadSanitizer's own thread runs before main";
#endif
  }

  // The exit status of a child that entered the sandbox and then ran `attempt`; minus the signal that ended it.
  int InSandbox(const std::function<bool()>& attempt, uint64_t memory_bytes = 0) {
    const pid_t child = fork();
    if (child == 0) {
      if (!EnterSandbox({job(), {outside() / "named"}, memory_bytes}).ok()) {
        _exit(kNoSandbox);
      }
      _exit(attempt() ? kAllowed : kRefused);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  const cloister::testing::TempDir dir_;
};

bool Opens(const std::filesystem::path& path, int flags, mode_t mode = 0600) {
  return open(path.c_str(), flags, mode) >= 0;
}

TEST_F(SandboxTest, NoSocketOfAnyKind) {
  for (int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET}) {
    EXPECT_EQ(InSandbox([&] { return socket(family, SOCK_STREAM, 0) >= 0 || errno != EPERM; }), kRefused) << family;
  }
  EXPECT_EQ(InSandbox([] {
              int pair[2];
              return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
            }),
            kRefused);
}

TEST_F(SandboxTest, AnInheritedSocketIsClosedAndCouldNotConnect) {
  // A socket made before the sandbox must be useless: its descriptor is gone, and connect is refused.
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(InSandbox([&] { return fcntl(descriptor, F_GETFD) >= 0; }), kRefused);
  EXPECT_EQ(InSandbox([&] {
              sockaddr_in address = {};
              address.sin_family = AF_INET;
              return connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno != EPERM;
            }),
            kRefused);
  close(descriptor);
}

TEST_F(SandboxTest, NoOtherProgramOrProcess) {
  EXPECT_EQ(InSandbox([] { return execl("/bin/true", "true", nullptr) == 0; }), kRefused);
  EXPECT_EQ(InSandbox([] {
              const pid_t child = fork();
              if (child == 0) {
                _exit(0);
              }
              return child > 0;
            }),
            kRefused);
  EXPECT_EQ(InSandbox([] { return kill(getppid(), 0) == 0; }), kRefused);
  EXPECT_EQ(InSandbox([] { return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0; }), kRefused);
}

TEST_F(SandboxTest, ThreadsStillWork) {
  EXPECT_EQ(InSandbox([] {
              int sum = 0;
              std::thread([&] { sum = 42; }).join();
              return sum == 42;
            }),
            kAllowed);
}

TEST_F(SandboxTest, AThreadIsInTheSandboxToo) {
  EXPECT_EQ(InSandbox([] {
              bool made = false;
              std::thread([&] { made = socket(AF_INET, SOCK_STREAM, 0) >= 0; }).join();
              return made;
            }),
            kRefused);
}

TEST_F(SandboxTest, AbortStillEndsTheProcess) {
  EXPECT_EQ(InSandbox([]() -> bool { std::abort(); }), -SIGABRT);
}

TEST_F(SandboxTest, WritesOnlyIntoTheJobFolder) {
  EXPECT_EQ(InSandbox([&] { return Opens(job() / "out", O_WRONLY | O_CREAT); }), kAllowed);
  EXPECT_EQ(InSandbox([&] { return rename((job() / "out").c_str(), (job() / "renamed").c_str()) == 0; }), kAllowed);
  EXPECT_EQ(InSandbox([&] { return mkdir((job() / "folder").c_str(), 0700) == 0; }), kAllowed);
  if (LandlockAbi() == 0) {
    GTEST_SKIP() << "no Landlock in this kernel";
  }
  EXPECT_EQ(InSandbox([&] { return Opens(outside() / "out", O_WRONLY | O_CREAT); }), kRefused);
  EXPECT_EQ(InSandbox([&] { return Opens(outside() / "named", O_WRONLY); }), kRefused);
  EXPECT_EQ(InSandbox([&] { return unlink((outside() / "named").c_str()) == 0; }), kRefused);
  EXPECT_EQ(InSandbox([&] { return truncate((outside() / "named").c_str(), 0) == 0; }),
            LandlockAbi() >= 3 ? kRefused : kAllowed);
  EXPECT_EQ(InSandbox([&] { return rename((job() / "renamed").c_str(), (outside() / "moved").c_str()) == 0; }),
            kRefused);
}

TEST_F(SandboxTest, ReadsOnlyWhatTheJobNames) {
  EXPECT_EQ(InSandbox([&] { return Opens(outside() / "named", O_RDONLY); }), kAllowed);
  EXPECT_EQ(InSandbox([] { return Opens("/dev/urandom", O_RDONLY); }), kAllowed);
  if (LandlockAbi() == 0) {
    GTEST_SKIP() << "no Landlock in this kernel";
  }
  EXPECT_EQ(InSandbox([&] { return Opens(outside() / "secret", O_RDONLY); }), kRefused);
  EXPECT_EQ(InSandbox([&] { return Opens(outside(), O_RDONLY | O_DIRECTORY); }), kRefused);
  EXPECT_EQ(InSandbox([] { return Opens("/etc/passwd", O_RDONLY); }), kRefused);
  EXPECT_EQ(InSandbox([] { return Opens("/proc/self/environ", O_RDONLY); }), kRefused);
}

TEST_F(SandboxTest, LeavesNoTraps) {
  EXPECT_EQ(InSandbox([&] { return symlink("/etc/passwd", (job() / "link").c_str()) == 0; }), kRefused);
  EXPECT_EQ(InSandbox([&] { return link((outside() / "named").c_str(), (job() / "hard").c_str()) == 0; }), kRefused);
  EXPECT_EQ(InSandbox([&] { return mknod((job() / "fifo").c_str(), S_IFIFO | 0600, 0) == 0; }), kRefused);
  EXPECT_EQ(InSandbox([&] { return Opens(job() / "suid", O_WRONLY | O_CREAT, 04755); }), kRefused);
  EXPECT_EQ(InSandbox([&] { return chmod((outside() / "named").c_str(), 0777) == 0; }), kRefused);
}

TEST_F(SandboxTest, CannotLoosenItself) {
  EXPECT_EQ(InSandbox([] { return unshare(CLONE_NEWUSER) == 0; }), kRefused);
  EXPECT_EQ(InSandbox([] { return syscall(SYS_io_uring_setup, 1, nullptr) >= 0 || errno != EPERM; }), kRefused);
  EXPECT_EQ(InSandbox([] { return syscall(SYS_ptrace, 0, 0, 0, 0) == 0; }), kRefused);
}

#if !defined(__SANITIZE_ADDRESS__)  // whose own maps are beyond any limit

TEST_F(SandboxTest, MemoryEndsAtTheLimit) {
  const auto allocate = [](size_t bytes) {
    return [bytes] {
      std::unique_ptr<char[]> block(new (std::nothrow) char[bytes]);
      return block != nullptr;
    };
  };
  EXPECT_EQ(InSandbox(allocate(size_t{100} << 20), uint64_t{512} << 20), kAllowed);
  EXPECT_EQ(InSandbox(allocate(size_t{600} << 20), uint64_t{512} << 20), kRefused);
}

TEST_F(SandboxTest, CannotRaiseItsMemoryLimit) {
  EXPECT_EQ(InSandbox(
                [] {
                  const rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
                  return setrlimit(RLIMIT_DATA, &limit) == 0;
                },
                uint64_t{1} << 30),
            kRefused);
}

#endif

TEST_F(SandboxTest, NoCoreDump) {
  EXPECT_EQ(InSandbox([] {
              rlimit limit = {};
              getrlimit(RLIMIT_CORE, &limit);
              return limit.rlim_max != 0;
            }),
            kRefused);
}

TEST_F(SandboxTest, ReportsWhatIsInForce) {
  EXPECT_EQ(InSandbox([] { return true; }), kAllowed);
  const pid_t child = fork();
  if (child == 0) {
    const auto report = EnterSandbox({job(), {}, 0});
    const bool honest =
        report.ok() && report->landlock_abi == LandlockAbi() &&
        report->warnings.size() == (report->network_namespace ? 0u : 1u) + (LandlockAbi() > 0 ? 0u : 1u);
    _exit(honest ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(SandboxTest, RefusesToStartBesideOtherThreads) {
  const pid_t child = fork();
  if (child == 0) {
    std::thread idle([] { pause(); });
    const auto report = EnterSandbox({job(), {}, 0});
    _exit(report.status().code() == absl::StatusCode::kFailedPrecondition ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(SandboxTest, RefusesAMissingJobFolder) {
  EXPECT_EQ(EnterSandbox({outside() / "nowhere", {}, 0}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace cloister::site
