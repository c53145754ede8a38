// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/late_answer.h"

#include <grpcpp/alarm.h>

#include <mutex>

#include "protocols/transport/grpc_status.h"

namespace cloister::transport {

struct LateAnswer::State {
  std::mutex mutex;
  bool taken = false;  // somebody answers, has answered, or the caller has gone
  Fill fill;
  grpc::ServerUnaryReactor* reactor =
      nullptr;  // lives until its OnDone, which comes after whoever took this has finished it
  grpc::Alarm alarm;
  std::function<void()> on_sent;

  bool Take(Fill* fill_out, std::function<void()> sent = nullptr) {
    std::lock_guard lock(mutex);
    if (taken) {
      return false;
    }
    taken = true;
    on_sent = std::move(sent);
    *fill_out = std::move(fill);
    fill = nullptr;
    return true;
  }

  bool Wake(std::function<void()> sent) {
    Fill taken_fill;
    const bool took = Take(&taken_fill, std::move(sent));
    if (took) {
      reactor->Finish(ToGrpc(taken_fill()));
    }
    return took;
  }

  void Fail(const absl::Status& status) {
    if (Fill dropped; Take(&dropped)) {
      reactor->Finish(ToGrpc(status));
    }
  }
};

namespace {

class Reactor final : public grpc::ServerUnaryReactor {
 public:
  explicit Reactor(std::shared_ptr<LateAnswer::State> state) : state_(std::move(state)) {}

  void OnCancel() override { state_->Fail(absl::CancelledError("the caller has gone")); }
  void OnDone() override {
    state_->alarm.Cancel();
    std::function<void()> on_sent;
    {
      std::lock_guard lock(state_->mutex);
      on_sent.swap(state_->on_sent);
    }
    delete this;
    if (on_sent) {
      on_sent();
    }
  }

 private:
  std::shared_ptr<LateAnswer::State> state_;
};

}  // namespace

std::shared_ptr<LateAnswer> LateAnswer::Start(grpc::CallbackServerContext*, absl::Duration wait, Fill fill) {
  auto state = std::make_shared<State>();
  state->fill = std::move(fill);
  state->reactor = new Reactor(state);
  // The alarm keeps its callback after the call, and the state keeps the alarm: the callback lets go of the state.
  state->alarm.Set(absl::ToChronoTime(absl::Now() + wait), [kept = state](bool) mutable {
    const std::shared_ptr<State> state = std::move(kept);
    state->Wake(nullptr);
  });
  return std::make_shared<LateAnswer>(state);
}

bool LateAnswer::Wake(std::function<void()> on_sent) {
  return state_->Wake(std::move(on_sent));
}

void LateAnswer::Fail(const absl::Status& status) {
  state_->Fail(status);
}

bool LateAnswer::done() const {
  std::lock_guard lock(state_->mutex);
  return state_->taken;
}

grpc::ServerUnaryReactor* LateAnswer::reactor() const {
  return state_->reactor;
}

grpc::ServerUnaryReactor* LateAnswer::Now(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

}  // namespace cloister::transport
