// SPDX-License-Identifier: Apache-2.0
// Attempts and misbehaviour.

#include "site_agent/worker/self_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace cloister::site {
namespace {

bool Opens(const std::filesystem::path& path, int flags) {
  const int descriptor = open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (descriptor >= 0) {
    close(descriptor);
  }
  return descriptor >= 0;
}

bool Connects() {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  if (descriptor < 0) {
    return false;
  }
  close(descriptor);
  return true;  // a socket is already one too many
}

bool Forks() {
  const pid_t child = fork();
  if (child == 0) {
    _exit(0);
  }
  if (child > 0) {
    waitpid(child, nullptr, 0);
  }
  return child >= 0;
}

bool Executes() {
  // Reached only if it fails: else this process is /bin/true, and no result is written.
  execl("/bin/true", "true", nullptr);
  return false;
}

bool LeavesALink(const std::filesystem::path& job_folder) {
  const std::filesystem::path link = job_folder / "link";
  const bool made = symlink("/etc/passwd", link.c_str()) == 0;
  unlink(link.c_str());
  return made;
}

nlohmann::json TryEverything(const SandboxReport& report, const std::filesystem::path& job_folder) {
  const std::filesystem::path beside = job_folder.parent_path() / "cloister-self-test-must-not-exist";
  const std::pair<const char*, bool> attempts[] = {
      {"connect", Connects()},
      {"exec", Executes()},
      {"fork", Forks()},
      {"link", LeavesALink(job_folder)},
      {"ptrace", ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0},
      {"read_outside", Opens("/etc/passwd", O_RDONLY)},
      {"signal_parent", kill(getppid(), 0) == 0},
      {"write_outside", Opens(beside, O_WRONLY | O_CREAT)},
  };
  bool contained = true;
  nlohmann::json outcomes = nlohmann::json::object();
  for (const auto& [name, succeeded] : attempts) {
    outcomes[name] = succeeded ? "allowed" : "refused";
    contained = contained && !succeeded;
  }
  std::error_code ignored;
  std::filesystem::remove(beside, ignored);
  return {{"seccomp", true},
          {"landlock_abi", report.landlock_abi},
          {"network_namespace", report.network_namespace},
          {"warnings", report.warnings},
          {"attempts", std::move(outcomes)},
          {"contained", contained}};
}

absl::Status AllocateWithoutEnd() {
  std::vector<std::unique_ptr<char[]>> blocks;
  constexpr size_t kBlock = size_t{64} << 20;
  try {
    while (blocks.size() < 4096) {
      blocks.emplace_back(new char[kBlock]);
      std::memset(blocks.back().get(), 1, kBlock);
    }
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("self test: out of memory, as asked");
  }
  return absl::InternalError("self test: 256 GiB and no limit met");
}

}  // namespace

absl::Status CheckSelfTest(const std::string& action) {
  if (action == "sandbox") {
    return absl::OkStatus();
  }
  for (const char* known : {"crash", "hang", "allocate", "exit", "garbage"}) {
    if (action == known) {
      const char* allowed = std::getenv("CLOISTER_WORKER_SELF_TEST");
      return allowed != nullptr && std::string(allowed) == "1"
                 ? absl::OkStatus()
                 : absl::InvalidArgumentError("job.json: action: '" + action + "' needs CLOISTER_WORKER_SELF_TEST=1");
    }
  }
  return absl::InvalidArgumentError("job.json: action: unknown '" + action +
                                    "'; allowed: sandbox, crash, hang, allocate, exit, garbage");
}

absl::StatusOr<nlohmann::json> RunSelfTest(const std::string& action, const SandboxReport& report,
                                           const std::filesystem::path& job_folder) {
  if (action == "crash") {
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
  }
  if (action == "hang") {
    while (true) {
      std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }
  if (action == "exit") {
    _exit(3);  // no result.json
  }
  if (action == "garbage") {  // on stdout, and a result that is not JSON
    std::puts("\x01\xFFnot json {{{");
    std::fflush(stdout);
    std::ofstream(job_folder / "result.json") << "{\"score\": ";
    _exit(0);
  }
  if (action == "allocate") {
    return AllocateWithoutEnd();
  }
  return TryEverything(report, job_folder);
}

}  // namespace cloister::site
