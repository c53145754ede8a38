#pragma once
// SPDX-License-Identifier: Apache-2.0
// A unary call that is answered later (a long poll): exactly once, by whoever comes first of Wake(), the end of the
// wait, and the caller's going away. No thread waits meanwhile.
//
//   grpc::ServerUnaryReactor* PullWork(grpc::CallbackServerContext* context, const Request* request, Reply* reply)
//   override {
//     auto call = LateAnswer::Start(context, wait, [=] { *reply = Encode(CurrentWork(site)); return absl::OkStatus();
//     }); waiting_.Add(site, call);     // and call->Wake() when the site's work changes return call->reactor();
//   }

#include <absl/time/time.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <utility>

#include "protocols/base/status.h"

namespace cloister::transport {

class LateAnswer {
 public:
  // Writes the reply; runs at most once, on the thread of Wake() or on one of gRPC's, never after the caller has gone.
  using Fill = std::function<absl::Status()>;

  static std::shared_ptr<LateAnswer> Start(grpc::CallbackServerContext* context, absl::Duration wait, Fill fill);

  // Answers now, unless answered already (false). `on_sent` runs once the answer has left or its caller has gone, on
  // one of gRPC's threads; never when this returned false. Do not call under a lock that `fill` or `on_sent` takes.
  bool Wake(std::function<void()> on_sent = nullptr);
  // Answers with an error now, unless answered already.
  void Fail(const absl::Status& status);
  // Answered, or the caller has gone: forget it.
  bool done() const;

  grpc::ServerUnaryReactor* reactor() const;

  // Answers a call at once.
  static grpc::ServerUnaryReactor* Now(grpc::CallbackServerContext* context, const absl::Status& status);

  struct State;
  explicit LateAnswer(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

}  // namespace cloister::transport
