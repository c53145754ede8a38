// SPDX-License-Identifier: Apache-2.0
// The polling loop against a scripted link.
#include "site_agent/link/work_puller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

namespace cloister::site {
namespace {

using ::testing::ElementsAre;

// Answers with what is in the script; then waits for the end, as a long poll does.
class ScriptedLink final : public CoordinatorLink {
 public:
  explicit ScriptedLink(std::deque<absl::StatusOr<wire::Work>> script) : script_(std::move(script)) {}

  absl::StatusOr<wire::Work> PullWork(uint64_t known_version, absl::Duration,
                                      const transport::StopSource& stop) override {
    {
      std::lock_guard lock(mutex_);
      asked_.push_back(known_version);
      if (!script_.empty()) {
        auto next = std::move(script_.front());
        script_.pop_front();
        return next;
      }
      finished_ = true;
      changed_.notify_all();
    }
    stop.WaitFor(absl::InfiniteDuration());
    return absl::CancelledError("stopped");
  }
  absl::Status Submit(const wire::SiteMessage&, const transport::StopSource&) override { return absl::OkStatus(); }
  absl::Status Upload(const wire::BlobHeader&, const std::filesystem::path&, const transport::StopSource&) override {
    return absl::OkStatus();
  }
  absl::Status Download(const Digest&, uint64_t, storage::BlobStore*, const transport::StopSource&) override {
    return absl::OkStatus();
  }

  void WaitUntilFinished() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_; });
  }
  std::vector<uint64_t> asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<absl::StatusOr<wire::Work>> script_;
  std::vector<uint64_t> asked_;
  bool finished_ = false;
};

constexpr transport::BackoffOptions kFast = {absl::Milliseconds(1), absl::Milliseconds(2)};

TEST(WorkPullerTest, HandsOverEachNewVersionOnce) {
  ScriptedLink link({wire::Work{5, {}}, wire::Work{5, {}}, wire::Work{7, {}}});
  std::vector<uint64_t> versions;
  WorkPuller puller(&link, {absl::Minutes(1), kFast}, [&](wire::Work work) { versions.push_back(work.version); });
  link.WaitUntilFinished();
  puller.Stop();
  EXPECT_THAT(versions, ElementsAre(5u, 7u));
  EXPECT_THAT(link.asked(), ElementsAre(0u, 5u, 5u, 7u));
}

TEST(WorkPullerTest, ComesBackAfterTroubleAndSaysSo) {
  ScriptedLink link({wire::Work{5, {}}, absl::UnavailableError("cannot reach the coordinator"),
                     absl::UnavailableError("cannot reach the coordinator"), absl::UnauthenticatedError("expired"),
                     wire::Work{3, {}}});  // a smaller version is as new: only the difference counts
  std::vector<uint64_t> versions;
  std::vector<std::string> states;
  WorkPuller puller(
      &link, {absl::Minutes(1), kFast}, [&](wire::Work work) { versions.push_back(work.version); },
      [&](const LinkState& state) { states.push_back(state.connected ? "connected" : state.problem); });
  link.WaitUntilFinished();
  EXPECT_TRUE(puller.state().connected);
  puller.Stop();
  EXPECT_THAT(versions, ElementsAre(5u, 3u));
  EXPECT_THAT(states, ElementsAre("connected", "cannot reach the coordinator", "expired", "connected"));
}

TEST(WorkPullerTest, StopsDuringALongPollAndDuringABackoff) {
  ScriptedLink waiting({});
  WorkPuller first(&waiting, {absl::Minutes(1), kFast}, [](wire::Work) {});
  waiting.WaitUntilFinished();
  first.Stop();

  ScriptedLink away({absl::UnavailableError("away")});
  WorkPuller second(&away, {absl::Minutes(1), {absl::Hours(1), absl::Hours(1)}}, [](wire::Work) {});
  second.Stop();
}

}  // namespace
}  // namespace cloister::site
