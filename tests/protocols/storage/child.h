#pragma once
// SPDX-License-Identifier: Apache-2.0
// Another process for a test: it runs a function and says what went wrong, if anything; or is killed in the middle.

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

namespace cloister::testing {

class Child {
 public:
  // `body` returns "" if all is well. It may write progress to the descriptor it gets. No GoogleTest macros in it.
  explicit Child(const std::function<std::string(int progress)>& body) {
    int ends[2];
    if (pipe(ends) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      const std::string error = body(ends[1]);
      if (!error.empty()) {
        const std::string line = "ERROR " + error;
        (void)!write(ends[1], line.data(), line.size());
      }
      _exit(error.empty() ? 0 : 1);  // no destructors, no exit handlers of the parent's
    }
    close(ends[1]);
    from_ = ends[0];
  }
  ~Child() {
    if (pid_ > 0) Kill();
    if (from_ >= 0) close(from_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Blocks until the child has written a byte; nullopt if it never will.
  std::optional<char> ReadProgress() {
    char byte;
    const ssize_t got = read(from_, &byte, 1);
    return got == 1 ? std::optional<char>(byte) : std::nullopt;
  }
  // All that it wrote and was not read yet, up to its end.
  std::string ReadRest() {
    std::string rest;
    for (char buffer[4096];;) {
      const ssize_t got = read(from_, buffer, sizeof buffer);
      if (got <= 0) return rest;
      rest.append(buffer, static_cast<size_t>(got));
    }
  }
  void Kill() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  // "" if the body was content.
  std::string Wait() {
    const std::string said = ReadRest();
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
    const size_t error = said.find("ERROR ");
    if (error != std::string::npos) return said.substr(error);
    return "the child ended with status " + std::to_string(status);
  }

 private:
  pid_t pid_ = -1;
  int from_ = -1;
};

// In a child: mounts a tiny tmpfs on `folder`, in a namespace of its own. "" or why it cannot be done here.
inline std::string MountTinyDisk(const std::string& folder, const std::string& size) {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  if (unshare(CLONE_NEWNS) != 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return std::string("unshare: ") + std::strerror(errno);
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << gid << " 1";
  }
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return std::string("mount: ") + std::strerror(errno);
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, ("size=" + size).c_str()) != 0) {
    return std::string("mount tmpfs: ") + std::strerror(errno);
  }
  return "";
}

// In a child: no file may grow past `bytes`; writes then fail as on a full disk. Undone with RLIM_INFINITY.
inline void LimitFileSize(rlim_t bytes) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes;
  setrlimit(RLIMIT_FSIZE, &limit);
}

}  // namespace cloister::testing
