// SPDX-License-Identifier: Apache-2.0
#include "site_agent/link/work_puller.h"

#include <utility>

#include "protocols/base/log.h"

namespace cloister::site {
namespace {

constexpr absl::Duration kSoonest = absl::Milliseconds(50);

}  // namespace

WorkPuller::WorkPuller(CoordinatorLink* link, Options options, std::function<void(wire::Work)> on_work,
                       std::function<void(const LinkState&)> on_state)
    : link_(link), options_(options), on_work_(std::move(on_work)), on_state_(std::move(on_state)) {
  thread_ = std::thread([this] { Run(); });
}

WorkPuller::~WorkPuller() {
  Stop();
}

void WorkPuller::Stop() {
  stop_.Stop();
  if (thread_.joinable()) {
    thread_.join();
  }
}

LinkState WorkPuller::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

void WorkPuller::Run() {
  transport::Backoff backoff(options_.backoff);
  uint64_t version = 0;
  while (!stop_.stopped()) {
    const absl::Time asked = absl::Now();
    absl::StatusOr<wire::Work> work = link_->PullWork(version, options_.wait, stop_);
    if (stop_.stopped()) {
      return;
    }
    if (!work.ok()) {
      SetState(false, std::string(work.status().message()));
      if (stop_.WaitFor(backoff.Next())) {
        return;
      }
      continue;
    }
    SetState(true, "");
    if (work->version != version) {
      backoff.Reset();
      version = work->version;
      on_work_(*std::move(work));
    } else if (absl::Now() - asked > kSoonest) {
      backoff.Reset();
    } else if (stop_.WaitFor(backoff.Next())) {  // no news, and no wait: a coordinator that does not hold calls must
                                                 // not keep us busy
      return;
    }
  }
}

void WorkPuller::SetState(bool connected, std::string problem) {
  LinkState now;
  {
    std::lock_guard lock(mutex_);
    const absl::Time time = absl::Now();
    const bool changed = state_.connected != connected || state_.problem != problem;
    if (connected) {
      state_.last_contact = time;
    }
    if (!changed) {
      return;
    }
    state_.connected = connected;
    state_.problem = std::move(problem);
    state_.since = time;
    now = state_;
  }
  if (connected) {
    Log()->info("link: connected to the coordinator");
  } else {
    Log()->warn("link: {}", now.problem);
  }
  if (on_state_) {
    on_state_(now);
  }
}

}  // namespace cloister::site
