#pragma once
// SPDX-License-Identifier: Apache-2.0
// A few threads that do what may block (disks), so that gRPC's own threads never do. First come, first served.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cloister::transport {

class TaskQueue {
 public:
  explicit TaskQueue(int threads);
  ~TaskQueue();  // runs what is queued, then ends

  void Post(std::function<void()> task);

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool ending_ = false;                      // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace cloister::transport
