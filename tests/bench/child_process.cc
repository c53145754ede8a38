// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/child_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

namespace cloister::bench {
namespace {

std::string ReadProc(pid_t pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

ChildProcess ChildProcess::Start(const std::function<int(ChildProcess& self)>& main) {
  int down[2];
  int up[2];
  if (pipe(down) != 0 || pipe(up) != 0) {
    std::perror("pipe");
    std::exit(1);
  }
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  const pid_t pid = fork();
  if (pid != 0) {
    close(down[0]);
    close(up[1]);
    return ChildProcess(pid, up[0], down[1]);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigprocmask(SIG_BLOCK, &term, nullptr);
  close(down[1]);
  close(up[0]);
  ChildProcess self(0, down[0], up[1]);
  _exit(main(self));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), in_(std::exchange(other.in_, -1)), out_(std::exchange(other.out_, -1)) {}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  if (in_ >= 0) close(in_);
  if (out_ >= 0) close(out_);
}

void ChildProcess::Tell(const std::string& line) {
  const std::string text = line + "\n";
  [[maybe_unused]] const ssize_t written = write(out_, text.data(), text.size());
}

std::string ChildProcess::Hear() {
  std::string line;
  for (char c = 0; read(in_, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

double ChildProcess::CpuSeconds() const {
  const std::string stat = ReadProc(pid_, "stat");
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 2)));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double ticks = 0;
  for (int i = 0; i < 4; ++i) {  // utime, stime, cutime, cstime
    double value = 0;
    fields >> value;
    ticks += value;
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

uint64_t ChildProcess::PeakBytes() const {
  std::istringstream lines(ReadProc(pid_, "status"));
  for (std::string line; std::getline(lines, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "VmHWM: %llu kB", &kib) == 1) return uint64_t{kib} << 10;
  }
  return 0;
}

void ChildProcess::WaitForTerm() {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  int signal_number = 0;
  sigwait(&term, &signal_number);
}

}  // namespace cloister::bench
