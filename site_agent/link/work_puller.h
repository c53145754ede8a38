#pragma once
// SPDX-License-Identifier: Apache-2.0
// The loop around CoordinatorLink::PullWork: one thread, long polls, backoff with jitter while the coordinator is away,
// and one log line when the connection is lost and one when it is back.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "protocols/transport/backoff.h"
#include "site_agent/link/coordinator_link.h"

namespace cloister::site {

struct LinkState {
  bool connected = false;
  std::string problem;  // for people, while not connected
  absl::Time since;     // of the last change
  absl::Time last_contact;
};

class WorkPuller {
 public:
  struct Options {
    absl::Duration wait = absl::Minutes(1);
    transport::BackoffOptions backoff;
  };

  // `on_work` gets every new list, on the puller's thread; it should only hand it over. `on_state` (optional) each
  // change of state.
  WorkPuller(CoordinatorLink* link, Options options, std::function<void(wire::Work)> on_work,
             std::function<void(const LinkState&)> on_state = nullptr);
  ~WorkPuller();  // Stop()

  // Returns when the thread has ended; a poll under way is cancelled.
  void Stop();
  LinkState state() const;

 private:
  void Run();
  void SetState(bool connected, std::string problem);

  CoordinatorLink* const link_;
  const Options options_;
  const std::function<void(wire::Work)> on_work_;
  const std::function<void(const LinkState&)> on_state_;
  transport::StopSource stop_;
  mutable std::mutex mutex_;
  LinkState state_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace cloister::site
