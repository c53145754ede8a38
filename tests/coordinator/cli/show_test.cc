// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/show.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/cli/terminal.h"

namespace cloister::coordinator {
namespace {

using ::testing::HasSubstr;

TEST(ColumnsTest, AlignsByCharacters) {
  EXPECT_EQ(Columns({{"a", "b"}, {"long", "c"}, {"é", ""}}), "a     b\nlong  c\né\n");
  EXPECT_EQ(Columns({}), "");
}

TEST(AgoTest, UsesTheUnitThatFits) {
  const absl::Time now = absl::FromUnixSeconds(1'000'000);
  EXPECT_EQ(Ago(0, now), "never");
  EXPECT_EQ(Ago(absl::ToUnixMillis(now), now), "0 s ago");
  EXPECT_EQ(Ago(absl::ToUnixMillis(now + absl::Hours(1)), now), "0 s ago");  // clocks differ
  EXPECT_EQ(Ago(absl::ToUnixMillis(now - absl::Minutes(5)), now), "5 min ago");
  EXPECT_EQ(Ago(absl::ToUnixMillis(now - absl::Hours(30)), now), "30 h ago");
  EXPECT_EQ(Ago(absl::ToUnixMillis(now - absl::Hours(24 * 9)), now), "9 days ago");
}

TEST(ExperimentTextTest, SaysWhoRefusedAndWhatToDo) {
  wire::ExperimentStatus status;
  status.job = *JobId::Parse("job-1");
  status.phase = wire::ExperimentPhase::kTraining;
  status.round = 2;
  status.rounds = 8;
  status.attempt = 2;
  status.step = wire::SumPhase::kMask;
  status.sites = {{*SiteId::Parse("site-a"), "refused", wire::RefusalReason::kNoCohort, {}},
                  {*SiteId::Parse("site-b"), "dropped", {}, wire::FailureReason::kDiskFull}};
  const std::string text = ExperimentText(status);
  EXPECT_THAT(text, HasSubstr("TRAINING round 2/8 attempt 2 MASK"));
  EXPECT_THAT(text, HasSubstr("NO_COHORT: The site has no cohort for this task"));
  EXPECT_THAT(text, HasSubstr("DISK_FULL"));
}

TEST(ExitCodeTest, IsWhatTheHelpSays) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("")), 1);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("")), 2);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), 3);
  EXPECT_EQ(ExitCodeOf(absl::UnauthenticatedError("")), 4);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), 5);
}

}  // namespace
}  // namespace cloister::coordinator
