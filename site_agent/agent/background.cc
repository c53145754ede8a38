// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/background.h"

namespace cloister::site {

Background::Background(size_t lanes, std::function<void()> on_done) : on_done_(std::move(on_done)) {
  for (size_t i = 0; i < lanes; ++i) {
    lanes_.push_back(std::make_unique<Lane>());
  }
  for (std::unique_ptr<Lane>& lane : lanes_) {
    lane->thread = std::thread([this, &lane = *lane] { Run(lane); });
  }
}

Background::~Background() {
  Stop();
}

std::optional<absl::Status> Background::Ensure(size_t lane, const std::string& key, Work work) {
  std::lock_guard lock(mutex_);
  const auto [found, added] = tasks_.try_emplace(key, std::nullopt);
  if (added) {
    lanes_.at(lane)->queue.emplace_back(key, std::move(work));
    changed_.notify_all();
  }
  return found->second;
}

void Background::Forget(const std::string& key) {
  std::lock_guard lock(mutex_);
  const auto found = tasks_.find(key);
  if (found != tasks_.end() && found->second.has_value()) {
    tasks_.erase(found);
  }
}

void Background::Stop() {
  stop_.Stop();
  {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  for (std::unique_ptr<Lane>& lane : lanes_) {
    if (lane->thread.joinable()) {
      lane->thread.join();
    }
  }
}

void Background::Run(Lane& lane) {
  while (true) {
    std::pair<std::string, Work> task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_.stopped() || !lane.queue.empty(); });
      if (stop_.stopped()) {
        return;
      }
      task = std::move(lane.queue.front());
      lane.queue.pop_front();
    }
    const absl::Status status = task.second(stop_);
    {
      std::lock_guard lock(mutex_);
      tasks_[task.first] = status;
    }
    if (on_done_) {
      on_done_();
    }
  }
}

}  // namespace cloister::site
