#pragma once
// SPDX-License-Identifier: Apache-2.0
// Long work beside the loops: named tasks on a few lanes, one thread and one task at a time each. Asking for the same
// name again is free, so level-triggered code can just ask until it is done.

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/transport/stop.h"

namespace cloister::site {

class Background {
 public:
  using Work = std::function<absl::Status(const transport::StopSource& stop)>;

  // `on_done` is called on a lane's thread after each task.
  Background(size_t lanes, std::function<void()> on_done);
  ~Background();  // Stop()

  // The status of the task `key`, or nullopt while it waits or runs. Starts it when it is not known.
  std::optional<absl::Status> Ensure(size_t lane, const std::string& key, Work work);
  // The next Ensure starts it again. A task that waits or runs stays.
  void Forget(const std::string& key);
  // Tells running tasks to stop, drops waiting ones, joins.
  void Stop();

 private:
  struct Lane {
    std::deque<std::pair<std::string, Work>> queue;
    std::thread thread;
  };
  void Run(Lane& lane);

  std::function<void()> on_done_;
  transport::StopSource stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::optional<absl::Status>> tasks_;  // guarded by mutex_; nullopt: not done
  std::vector<std::unique_ptr<Lane>> lanes_;                  // queues guarded by mutex_
};

}  // namespace cloister::site
