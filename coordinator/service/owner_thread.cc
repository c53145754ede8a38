// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/owner_thread.h"

#include <algorithm>

namespace cloister::coordinator {
namespace {

constexpr absl::Duration kLongestSleep = absl::Minutes(1);  // the machine's clock may be set

}  // namespace

OwnerThread::OwnerThread(const Clock* clock, std::function<absl::Time()> settle)
    : clock_(clock), settle_(std::move(settle)) {}

OwnerThread::~OwnerThread() {
  Stop();
}

void OwnerThread::Start() {
  thread_ = std::thread([this] { Run(); });
}

void OwnerThread::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool OwnerThread::Post(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) {
      return false;
    }
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
  return true;
}

void OwnerThread::Run() {
  absl::Time alarm = settle_();
  std::unique_lock lock(mutex_);
  while (true) {
    if (tasks_.empty() && stopping_) {
      return;
    }
    if (tasks_.empty()) {
      const absl::Duration wait = std::clamp(alarm - clock_->Now(), absl::ZeroDuration(), kLongestSleep);
      changed_.wait_for(lock, absl::ToChronoMilliseconds(wait + absl::Milliseconds(1)),
                        [this] { return stopping_ || !tasks_.empty(); });
    }
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
    } else {
      lock.unlock();
    }
    alarm = settle_();
    lock.lock();
  }
}

}  // namespace cloister::coordinator
