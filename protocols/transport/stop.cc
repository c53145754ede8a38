// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/stop.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace cloister::transport {

struct StopSource::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
  uint64_t next = 1;
  std::map<uint64_t, std::function<void()>> callbacks;
  uint64_t running = 0;  // the callback that runs now, outside the lock
  std::thread::id runner;

  void Forget(uint64_t id) {
    std::unique_lock lock(mutex);
    callbacks.erase(id);
    if (runner != std::this_thread::get_id()) {
      changed.wait(lock, [&] { return running != id; });
    }
  }
};

StopSource::StopSource() : state_(std::make_shared<State>()) {}

void StopSource::Stop() {
  std::unique_lock lock(state_->mutex);
  if (state_->stopped) {
    return;
  }
  state_->stopped = true;
  state_->runner = std::this_thread::get_id();
  state_->changed.notify_all();
  while (!state_->callbacks.empty()) {
    auto node = state_->callbacks.extract(state_->callbacks.begin());
    state_->running = node.key();
    lock.unlock();
    node.mapped()();
    lock.lock();
    state_->running = 0;
    state_->changed.notify_all();
  }
  state_->runner = {};
}

bool StopSource::stopped() const {
  std::lock_guard lock(state_->mutex);
  return state_->stopped;
}

bool StopSource::WaitFor(absl::Duration duration) const {
  std::unique_lock lock(state_->mutex);
  if (duration == absl::InfiniteDuration()) {
    state_->changed.wait(lock, [&] { return state_->stopped; });
    return true;
  }
  return state_->changed.wait_for(lock, absl::ToChronoNanoseconds(duration), [&] { return state_->stopped; });
}

StopSource::Handle StopSource::OnStop(std::function<void()> callback) const {
  Handle handle;
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->stopped) {
      const uint64_t id = state_->next++;
      state_->callbacks.emplace(id, std::move(callback));
      handle.forget_ = [state = state_, id] { state->Forget(id); };
      return handle;
    }
  }
  callback();
  return handle;
}

StopSource::Handle& StopSource::Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    if (forget_) {
      forget_();
    }
    forget_ = std::exchange(other.forget_, nullptr);
  }
  return *this;
}

StopSource::Handle::Handle(Handle&& other) noexcept : forget_(std::exchange(other.forget_, nullptr)) {}

StopSource::Handle::~Handle() {
  if (forget_) {
    forget_();
  }
}

}  // namespace cloister::transport
