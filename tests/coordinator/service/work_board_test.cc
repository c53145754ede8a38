// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/work_board.h"

#include <gtest/gtest.h>

namespace cloister::coordinator {
namespace {

TEST(WorkBoardTest, ASiteNobodyKnowsHasNoWorkAndAVersion) {
  const WorkBoard board;
  const WorkPointer work = board.Current(*SiteId::Parse("a"));
  ASSERT_NE(work, nullptr);
  EXPECT_TRUE(work->items.empty());
  EXPECT_EQ(work->version, WorkVersion({}));
}

TEST(WorkBoardTest, VersionsFollowFromTheWorkAlone) {
  EXPECT_NE(WorkVersion({}), 0);
  EXPECT_EQ(WorkVersion({"a", "b"}), WorkVersion({"a", "b"}));
  EXPECT_NE(WorkVersion({"a", "b"}), WorkVersion({"ab"}));
  EXPECT_NE(WorkVersion({"a"}), WorkVersion({}));
}

TEST(WorkBoardTest, TheLastPublishedWorkCounts) {
  WorkBoard board;
  const SiteId site = *SiteId::Parse("a");
  for (const char* key : {"offer", "baseline"}) {
    auto work = std::make_shared<BoardWork>();
    work->version = WorkVersion({key});
    work->items.push_back([key] { return wire::ExperimentClosed{{}, "closed", key}; });
    board.Publish(site, work);
    EXPECT_EQ(board.Current(site), work);
    const wire::Work made = Make(*board.Current(site));
    EXPECT_EQ(made.version, work->version);
    ASSERT_EQ(made.items.size(), 1);
    EXPECT_EQ(std::get<wire::ExperimentClosed>(made.items[0]).reason, key);
  }
  EXPECT_TRUE(board.Current(*SiteId::Parse("b"))->items.empty());
  EXPECT_FALSE(board.IsWaiting(site));
}

}  // namespace
}  // namespace cloister::coordinator
