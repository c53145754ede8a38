// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <vector>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kMaxLineBytes = 64 * 1024;
constexpr uint64_t kMaxResultBytes = uint64_t{64} << 20;
constexpr uint64_t kMaxLogBytes = uint64_t{4} << 20;
constexpr int kPollMs = 50;

std::string Field(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

double Number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::optional<WorkerProgress> ParseProgress(const std::string& line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("progress") || !json["progress"].is_object()) {
    return std::nullopt;
  }
  const Json& object = json["progress"];
  WorkerProgress progress;
  progress.phase = Field(object, "phase").substr(0, 32);
  progress.epoch = static_cast<int>(Number(object, "epoch"));
  progress.epochs = static_cast<int>(Number(object, "epochs"));
  progress.batch = static_cast<int>(Number(object, "batch"));
  progress.batches = static_cast<int>(Number(object, "batches"));
  progress.loss = Number(object, "loss");
  progress.images_per_second = Number(object, "images_per_second");
  progress.eta_seconds = Number(object, "eta_seconds");
  return progress;
}

// What the worker itself says went wrong.
WorkerError ReadError(const Json& error) {
  WorkerError result;
  const std::string code = Field(error, "code");
  result.reason = Field(error, "reason");
  result.message = Field(error, "message");
  if (result.reason == "input_output") {
    result.failure = WorkerFailure::kDiskFull;
  } else if (result.reason == "diverged") {
    result.failure = WorkerFailure::kNotFinite;
  } else if (result.reason == "bad_model") {
    result.failure = WorkerFailure::kModelInvalid;
  } else if (result.reason == "sandbox") {
    result.failure = WorkerFailure::kCannotStart;
  } else if (result.reason == "out_of_memory" || code == "RESOURCE_EXHAUSTED") {
    result.failure = WorkerFailure::kOutOfMemory;
  } else {
    result.failure = WorkerFailure::kInternal;
  }
  return result;
}

// Files under /proc have no size, so they are read until they end.
std::string ReadProc(pid_t pid, const char* name) {
  std::ifstream file(fmt::format("/proc/{}/{}", pid, name), std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

uint64_t ResidentBytes(pid_t pid) {
  unsigned long size = 0;
  unsigned long resident = 0;
  if (sscanf(ReadProc(pid, "statm").c_str(), "%lu %lu", &size, &resident) != 2) {
    return 0;
  }
  return uint64_t{resident} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// A net below the resident memory that is measured.
rlim_t DataLimit(uint64_t memory_bytes) {
#if defined(__SANITIZE_ADDRESS__)
  static_cast<void>(memory_bytes);
  return RLIM_INFINITY;  // the sanitizer's shadow memory counts as data
#else
  return memory_bytes + (uint64_t{1} << 30);
#endif
}

// Everything the child needs between fork and exec, prepared before: only async-signal-safe calls are allowed there.
struct Launch {
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::string folder;
  int in = -1;
  int out = -1;
  int err = -1;
  int report = -1;  // errno when exec fails
  rlim_t data_limit = 0;
  pid_t parent = 0;

  void Point() {
    for (std::string& text : arguments) argv.push_back(text.data());
    for (std::string& text : environment) envp.push_back(text.data());
    argv.push_back(nullptr);
    envp.push_back(nullptr);
  }
};

[[noreturn]] void BecomeWorker(const Launch& launch) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != launch.parent) {
    _exit(125);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal_number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) {
    signal(signal_number, SIG_DFL);
  }
  dup2(launch.in, 0);
  dup2(launch.out, 1);
  dup2(launch.err, 2);
  const rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const rlimit data = {launch.data_limit, launch.data_limit};
  setrlimit(RLIMIT_DATA, &data);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  if (chdir(launch.folder.c_str()) == 0) {
    execve(launch.argv[0], launch.argv.data(), launch.envp.data());
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t ignored = write(launch.report, &error, sizeof(error));
  _exit(126);
}

std::vector<std::string> CleanEnvironment(const WorkerCommand& command) {
  std::map<std::string, std::string> environment = {
      {"PATH", "/usr/local/bin:/usr/bin:/bin"},
      {"HOME", command.folder.string()},
      {"TMPDIR", command.folder.string()},
      {"LANG", "C.UTF-8"},
      {"OMP_NUM_THREADS", std::to_string(command.threads)},
      {"OPENBLAS_NUM_THREADS", std::to_string(command.threads)},
      {"MKL_NUM_THREADS", std::to_string(command.threads)},
      {"OMP_DYNAMIC", "FALSE"},
      {"OMP_WAIT_POLICY", "PASSIVE"},  // several sites may share a machine: idle threads must not spin
  };
  for (const char* name :
       {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "CUDA_VISIBLE_DEVICES"}) {
    if (const char* value = getenv(name)) {
      environment[name] = value;
    }
  }
  for (const auto& [name, value] : command.environment) {
    environment[name] = value;
  }
  std::vector<std::string> result;
  for (const auto& [name, value] : environment) {
    result.push_back(name + "=" + value);
  }
  return result;
}

// A worker that an earlier agent left behind in this folder.
void KillStaleWorker(const std::filesystem::path& folder) {
  const absl::StatusOr<Bytes> text = ReadFile(folder / "worker.pid", 64);
  if (!text.ok()) {
    return;
  }
  const pid_t pid = static_cast<pid_t>(atoi(text->c_str()));
  if (pid <= 1) {
    return;
  }
  if (ReadProc(pid, "cmdline").find(folder.string()) != std::string::npos) {
    Log()->warn("a worker of an earlier agent still runs in {}: ending it", folder.filename().string());
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
  }
}

Descriptor OpenLog(const std::filesystem::path& path) {
  std::error_code error;
  const bool too_large = std::filesystem::file_size(path, error) > kMaxLogBytes && !error;
  return Descriptor(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (too_large ? O_TRUNC : 0), 0600));
}

// Cuts the child's stdout into lines, however it sends them.
class LineReader {
 public:
  LineReader(int fd, const std::function<void(const WorkerProgress&)>& on_progress)
      : fd_(fd), on_progress_(on_progress) {}

  // Reads what is there without waiting; false at the end. True `got_any` when something came.
  bool Drain(bool& got_any) {
    char buffer[16384];
    while (true) {
      const ssize_t size = read(fd_, buffer, sizeof(buffer));
      if (size > 0) {
        got_any = true;
        Take({buffer, static_cast<size_t>(size)});
        continue;
      }
      return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    }
  }

 private:
  void Take(std::string_view bytes) {
    for (char c : bytes) {
      if (c != '\n') {
        if (line_.size() < kMaxLineBytes) {
          line_ += c;
        }
        continue;
      }
      if (const std::optional<WorkerProgress> progress = ParseProgress(line_); progress && on_progress_) {
        on_progress_(*progress);
      }
      line_.clear();
    }
  }

  int fd_;
  const std::function<void(const WorkerProgress&)>& on_progress_;
  std::string line_;
};

WorkerError CannotStart(const WorkerCommand& command, int error) {
  return {WorkerFailure::kCannotStart, "",
          fmt::format("cannot start {}: {}", command.program.string(), std::strerror(error))};
}

// Readable once the process has ended. Invalid where the kernel has no such thing: then kPollMs bounds the wait.
Descriptor OpenPid(pid_t pid) {
  return Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

// Waits for the child, killing its whole group for the first reason that turns up.
std::optional<WorkerError> Watch(pid_t pid, int out, const WorkerCommand& command, const transport::StopSource& stop,
                                 const std::function<void(const WorkerProgress&)>& on_progress, int& wait_status) {
  LineReader lines(out, on_progress);
  const Descriptor ended = OpenPid(pid);
  const auto started = SteadyClock::now();
  auto last_line = started;
  bool open = true;
  std::optional<WorkerError> killed_for;
  const auto seconds_since = [](SteadyClock::time_point then) {
    return std::chrono::duration<double>(SteadyClock::now() - then).count();
  };
  while (true) {
    pollfd waited[] = {{open ? out : -1, POLLIN, 0}, {ended.get(), POLLIN, 0}};
    poll(waited, 2, kPollMs);
    bool got_any = false;
    open = open && lines.Drain(got_any);
    if (got_any) {
      last_line = SteadyClock::now();
    }
    if (waitpid(pid, &wait_status, WNOHANG) == pid) {
      kill(-pid, SIGKILL);  // whatever it left behind
      lines.Drain(got_any);
      return killed_for;
    }
    if (killed_for) {
      continue;
    }
    if (stop.stopped()) {
      killed_for = WorkerError{WorkerFailure::kStopped, "", "stopped"};
    } else if (seconds_since(started) > absl::ToDoubleSeconds(command.limits.time)) {
      killed_for = WorkerError{WorkerFailure::kTimedOut, "",
                               fmt::format("ran longer than {:.0f} s", absl::ToDoubleSeconds(command.limits.time))};
    } else if (seconds_since(last_line) > absl::ToDoubleSeconds(command.limits.silence)) {
      killed_for =
          WorkerError{WorkerFailure::kTimedOut, "",
                      fmt::format("no sign of life for {:.0f} s", absl::ToDoubleSeconds(command.limits.silence))};
    } else if (const uint64_t resident = ResidentBytes(pid); resident > command.limits.memory_bytes) {
      killed_for = WorkerError{
          WorkerFailure::kOutOfMemory, "",
          fmt::format("used {} MiB of memory, allowed are {}", resident >> 20, command.limits.memory_bytes >> 20)};
    }
    if (killed_for) {
      kill(-pid, SIGKILL);
    }
  }
}

std::variant<Json, WorkerError> Conclude(const WorkerCommand& command, int wait_status) {
  const absl::StatusOr<Bytes> text = ReadFile(command.folder / "result.json", kMaxResultBytes);
  const Json result = text.ok() ? Json::parse(*text, nullptr, false) : Json();
  if (result.is_object() && result.contains("error") && result["error"].is_object()) {
    return ReadError(result["error"]);
  }
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
    if (result.is_object()) {
      return result;
    }
    return WorkerError{WorkerFailure::kCrashed, "", "ended without a result"};
  }
  if (WIFSIGNALED(wait_status)) {
    // The kernel's out-of-memory killer is the usual sender of a SIGKILL that is not ours, but not the only one.
    return WorkerError{WorkerFailure::kCrashed, "",
                       fmt::format("ended by signal {} ({})", WTERMSIG(wait_status),
                                   WTERMSIG(wait_status) == SIGKILL ? "killed from outside, perhaps for memory"
                                                                    : strsignal(WTERMSIG(wait_status)))};
  }
  return WorkerError{WorkerFailure::kCrashed, "", fmt::format("exit code {}", WEXITSTATUS(wait_status))};
}

}  // namespace

std::string_view WorkerFailureName(WorkerFailure failure) {
  switch (failure) {
    case WorkerFailure::kCrashed:
      return "CRASHED";
    case WorkerFailure::kTimedOut:
      return "TIMED_OUT";
    case WorkerFailure::kOutOfMemory:
      return "OUT_OF_MEMORY";
    case WorkerFailure::kDiskFull:
      return "DISK_FULL";
    case WorkerFailure::kNotFinite:
      return "NOT_FINITE";
    case WorkerFailure::kModelInvalid:
      return "MODEL_INVALID";
    case WorkerFailure::kInternal:
      return "INTERNAL";
    case WorkerFailure::kCannotStart:
      return "CANNOT_START";
    case WorkerFailure::kStopped:
      return "STOPPED";
  }
  return "INTERNAL";
}

absl::Status WriteWorkerFile(const std::filesystem::path& path, ByteView bytes) {
  unlink(path.c_str());
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) {
    return ErrnoStatus(errno, "cannot create", path);
  }
  return WriteAll(file.get(), bytes, path);
}

std::optional<Json> FinishedResult(const std::filesystem::path& folder) {
  const absl::StatusOr<Bytes> text = ReadFile(folder / "result.json", kMaxResultBytes);
  if (!text.ok()) {
    return std::nullopt;
  }
  Json result = Json::parse(*text, nullptr, false);
  if (!result.is_object() || result.contains("error")) {
    return std::nullopt;
  }
  return result;
}

std::variant<Json, WorkerError> RunWorker(const WorkerCommand& command, const transport::StopSource& stop,
                                          const std::function<void(const WorkerProgress&)>& on_progress) {
  KillStaleWorker(command.folder);
  std::error_code ignored;
  std::filesystem::remove(command.folder / "result.json", ignored);

  int out[2];
  int report[2];
  if (pipe2(out, O_CLOEXEC) != 0) {
    return CannotStart(command, errno);
  }
  Descriptor out_read(out[0]);
  Descriptor out_write(out[1]);
  if (pipe2(report, O_CLOEXEC) != 0) {
    return CannotStart(command, errno);
  }
  Descriptor report_read(report[0]);
  Descriptor report_write(report[1]);
  const Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Descriptor log = OpenLog(command.folder / "worker.log");
  if (!null.valid() || !log.valid()) {
    return CannotStart(command, errno);
  }
  fcntl(out_read.get(), F_SETFL, O_NONBLOCK);

  Launch launch;
  launch.arguments = {command.program.string(), "--job", command.folder.string()};
  launch.environment = CleanEnvironment(command);
  launch.folder = command.folder.string();
  launch.in = null.get();
  launch.out = out_write.get();
  launch.err = log.get();
  launch.report = report_write.get();
  launch.data_limit = DataLimit(command.limits.memory_bytes);
  launch.parent = getpid();
  launch.Point();

  const pid_t pid = fork();
  if (pid < 0) {
    return CannotStart(command, errno);
  }
  if (pid == 0) {
    BecomeWorker(launch);
  }
  setpgid(pid, pid);
  out_write.Close();
  report_write.Close();
  int error = 0;
  int wait_status = 0;
  if (read(report_read.get(), &error, sizeof(error)) == sizeof(error)) {
    waitpid(pid, &wait_status, 0);
    return CannotStart(command, error);
  }
  (void)WriteWorkerFile(command.folder / "worker.pid", std::to_string(pid));
  const std::optional<WorkerError> killed_for = Watch(pid, out_read.get(), command, stop, on_progress, wait_status);
  std::filesystem::remove(command.folder / "worker.pid", ignored);
  if (killed_for) {
    return *killed_for;
  }
  return Conclude(command, wait_status);
}

}  // namespace cloister::site
