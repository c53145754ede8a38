#pragma once
// SPDX-License-Identifier: Apache-2.0
// Asking a waiting thread to stop (C++17 has no std::stop_token). One StopSource per loop; copies share it.
// Thread-safe.

#include <absl/time/time.h>

#include <functional>
#include <memory>

namespace cloister::transport {

class StopSource {
 public:
  StopSource();

  void Stop();  // the first call runs the callbacks, on the caller's thread
  bool stopped() const;
  // Waits for Stop() or for `duration`, whichever is first; true: stopped.
  bool WaitFor(absl::Duration duration) const;

  // Runs `callback` once at Stop(), or at once if stopped already. It is forgotten when the handle goes; once the
  // handle is gone, the callback is not running and will not run.
  class Handle {
   public:
    Handle() = default;
    Handle(Handle&& other) noexcept;
    Handle& operator=(Handle&& other) noexcept;
    ~Handle();

   private:
    friend class StopSource;
    std::function<void()> forget_;
  };
  Handle OnStop(std::function<void()> callback) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace cloister::transport
