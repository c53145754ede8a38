// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/stop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include "protocols/transport/backoff.h"
#include "protocols/transport/task_queue.h"

namespace cloister::transport {
namespace {

TEST(StopSourceTest, WakesAWaiter) {
  StopSource stop;
  EXPECT_FALSE(stop.WaitFor(absl::Milliseconds(1)));
  std::thread stopper([copy = stop]() mutable { copy.Stop(); });
  EXPECT_TRUE(stop.WaitFor(absl::InfiniteDuration()));
  EXPECT_TRUE(stop.stopped());
  stopper.join();
}

TEST(StopSourceTest, RunsEachCallbackOnce) {
  StopSource stop;
  int runs = 0;
  const auto handle = stop.OnStop([&] { ++runs; });
  stop.Stop();
  stop.Stop();
  EXPECT_EQ(runs, 1);
  const auto late = stop.OnStop([&] { ++runs; });
  EXPECT_EQ(runs, 2);
}

TEST(StopSourceTest, ForgetsACallbackWithItsHandle) {
  StopSource stop;
  int runs = 0;
  {
    const auto handle = stop.OnStop([&] { ++runs; });
  }
  stop.Stop();
  EXPECT_EQ(runs, 0);
}

TEST(StopSourceTest, ACallbackMayDropItsOwnHandle) {
  StopSource stop;
  std::optional<StopSource::Handle> handle;
  handle = stop.OnStop([&] { handle.reset(); });
  stop.Stop();
  EXPECT_FALSE(handle.has_value());
}

TEST(StopSourceTest, DroppingAHandleWaitsForItsCallback) {
  for (int i = 0; i < 200; ++i) {
    StopSource stop;
    std::atomic<bool> alive = true;
    std::optional<StopSource::Handle> handle = stop.OnStop([&] { EXPECT_TRUE(alive); });
    std::thread stopper([&] { stop.Stop(); });
    handle.reset();
    alive = false;
    stopper.join();
  }
}

TEST(BackoffTest, GrowsToItsBoundWithJitter) {
  Backoff backoff({absl::Milliseconds(100), absl::Seconds(2)}, 7);
  absl::Duration whole = absl::Milliseconds(100);
  for (int i = 0; i < 40; ++i) {
    const absl::Duration wait = backoff.Next();
    EXPECT_GE(wait, whole / 2);
    EXPECT_LE(wait, whole);
    whole = std::min(whole * 2, absl::Seconds(2));
  }
  backoff.Reset();
  EXPECT_LE(backoff.Next(), absl::Milliseconds(100));
}

TEST(TaskQueueTest, RunsEverythingBeforeItEnds) {
  std::atomic<int> done = 0;
  {
    TaskQueue queue(3);
    for (int i = 0; i < 100; ++i) {
      queue.Post([&] { ++done; });
    }
  }
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace cloister::transport
