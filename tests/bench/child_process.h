#pragma once
// SPDX-License-Identifier: Apache-2.0
// A process forked from this one, measured from outside. Fork before the first thread and before gRPC is used.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

namespace cloister::bench {

class ChildProcess {
 public:
  // Runs `main` in the child, which ends with what it returns; it may wait for Ask()'s text and answer with a line.
  static ChildProcess Start(const std::function<int(ChildProcess& self)>& main);
  ChildProcess(ChildProcess&& other) noexcept;
  ~ChildProcess();  // SIGTERM, and waits

  // ---- the parent's side ----
  void Tell(const std::string& line);
  std::string Hear();          // the child's next line; "" when it has ended
  double CpuSeconds() const;   // so far, with what it waited for
  uint64_t PeakBytes() const;  // of resident memory

  // ---- the child's side: the same two, and SIGTERM ----
  static void WaitForTerm();

 private:
  ChildProcess(pid_t pid, int in, int out) : pid_(pid), in_(in), out_(out) {}

  pid_t pid_;  // 0: we are the child
  int in_;
  int out_;
};

}  // namespace cloister::bench
