// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/late_answer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <grpcpp/create_channel.h>

#include "protocols/transport/server.h"
#include "protocols/wire/codec.h"

namespace cloister::transport {
namespace {

namespace v1 = wire::v1;

// Holds every call; the test decides what happens to it.
class HoldingService final : public v1::Federation::CallbackService {
 public:
  explicit HoldingService(absl::Duration wait) : wait_(wait) {}

  grpc::ServerUnaryReactor* PullWork(grpc::CallbackServerContext* context, const v1::PullWorkRequest*,
                                     v1::PullWorkReply* reply) override {
    auto call = LateAnswer::Start(context, wait_, [this, reply] {
      reply->set_version(version_);
      ++fills_;
      return absl::OkStatus();
    });
    grpc::ServerUnaryReactor* reactor = call->reactor();
    {
      std::lock_guard lock(mutex_);
      calls_.push_back(std::move(call));
    }
    changed_.notify_all();
    return reactor;
  }

  std::shared_ptr<LateAnswer> WaitForCall(size_t index) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_.size() > index; });
    return calls_[index];
  }

  std::atomic<uint64_t> version_ = 1;
  std::atomic<int> fills_ = 0;

 private:
  const absl::Duration wait_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<LateAnswer>> calls_;
};

class LateAnswerTest : public ::testing::Test {
 protected:
  void Serve(absl::Duration wait) {
    service_ = std::make_unique<HoldingService>(wait);
    auto server = Server::Start({"127.0.0.1:0", grpc::InsecureServerCredentials()}, {service_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = v1::Federation::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()), grpc::InsecureChannelCredentials()));
  }

  grpc::Status Call(grpc::ClientContext* context, v1::PullWorkReply* reply) {
    return stub_->PullWork(context, v1::PullWorkRequest(), reply);
  }

  std::unique_ptr<HoldingService> service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::Federation::Stub> stub_;
};

TEST_F(LateAnswerTest, AnswersWhenWoken) {
  Serve(absl::Minutes(5));
  grpc::ClientContext context;
  v1::PullWorkReply reply;
  grpc::Status status;
  std::thread caller([&] { status = Call(&context, &reply); });
  const auto call = service_->WaitForCall(0);
  EXPECT_FALSE(call->done());
  service_->version_ = 8;
  call->Wake();
  call->Wake();
  call->Fail(absl::InternalError("too late"));
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.version(), 8u);
  EXPECT_EQ(service_->fills_, 1);
  EXPECT_TRUE(call->done());
}

TEST_F(LateAnswerTest, SaysOnceWhenTheAnswerHasLeft) {
  Serve(absl::Minutes(5));
  std::atomic<int> sent{0};
  for (const bool leaves_first : {false, true}) {
    grpc::ClientContext context;
    v1::PullWorkReply reply;
    std::thread caller([&] { Call(&context, &reply); });
    const auto call = service_->WaitForCall(leaves_first ? 1 : 0);
    if (leaves_first) {
      context.TryCancel();
      while (!call->done()) {
        std::this_thread::yield();
      }
    }
    EXPECT_EQ(call->Wake([&] { ++sent; }), !leaves_first);
    EXPECT_FALSE(call->Wake([&] { sent += 100; }));
    caller.join();
  }
  server_->Stop(absl::ZeroDuration());  // waits for what still runs
  EXPECT_EQ(sent, 1);
}

TEST_F(LateAnswerTest, AnswersAtTheEndOfTheWait) {
  Serve(absl::Milliseconds(20));
  grpc::ClientContext context;
  v1::PullWorkReply reply;
  EXPECT_TRUE(Call(&context, &reply).ok());
  EXPECT_EQ(reply.version(), 1u);
}

TEST_F(LateAnswerTest, NoWaitAtAll) {
  Serve(absl::ZeroDuration());
  for (int i = 0; i < 200; ++i) {
    grpc::ClientContext context;
    v1::PullWorkReply reply;
    EXPECT_TRUE(Call(&context, &reply).ok());
  }
}

TEST_F(LateAnswerTest, IsDoneWhenTheCallerGoesAway) {
  Serve(absl::Minutes(5));
  grpc::ClientContext context;
  v1::PullWorkReply reply;
  grpc::Status status;
  std::thread caller([&] { status = Call(&context, &reply); });
  const auto call = service_->WaitForCall(0);
  context.TryCancel();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  while (!call->done()) {  // the server hears of it a moment later
    std::this_thread::yield();
  }
  call->Wake();  // must be harmless now
  EXPECT_EQ(service_->fills_, 0);
}

TEST_F(LateAnswerTest, WakingRacesWithLeaving) {
  Serve(absl::Milliseconds(2));
  for (size_t i = 0; i < 200; ++i) {
    grpc::ClientContext context;
    v1::PullWorkReply reply;
    std::thread caller([&] { Call(&context, &reply); });
    const auto call = service_->WaitForCall(i);
    std::thread waker([&] { call->Wake(); });
    context.TryCancel();
    waker.join();
    caller.join();
  }
}

TEST_F(LateAnswerTest, StoppingTheServerEndsHeldCalls) {
  Serve(absl::Minutes(5));
  grpc::ClientContext context;
  v1::PullWorkReply reply;
  grpc::Status status;
  std::thread caller([&] { status = Call(&context, &reply); });
  service_->WaitForCall(0);
  server_->Stop(absl::ZeroDuration());
  caller.join();
  EXPECT_FALSE(status.ok());
}

}  // namespace
}  // namespace cloister::transport
