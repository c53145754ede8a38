#pragma once
// SPDX-License-Identifier: Apache-2.0
// One thread with a mailbox: it owns all state of the driver, everybody else posts. Also wakes by itself when an alarm
// is due.

#include <absl/time/time.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "protocols/base/clock.h"

namespace cloister::coordinator {

class OwnerThread {
 public:
  using Task = std::function<void()>;

  // After every task and at every alarm, `settle` runs; it returns when it wants to run again at the latest. `clock`
  // says what time it is.
  OwnerThread(const Clock* clock, std::function<absl::Time()> settle);
  ~OwnerThread();  // Stop()

  void Start();
  // Runs what has been posted, then ends the thread.
  void Stop();
  // False: stopping; the task will not run.
  bool Post(Task task);

 private:
  void Run();

  const Clock* const clock_;
  const std::function<absl::Time()> settle_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::thread thread_;
};

}  // namespace cloister::coordinator
