// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/release_table.h"

#include <gtest/gtest.h>

#include "site_agent/storage/site_store.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

class ReleaseTableTest : public ::testing::Test {
 protected:
  ReleaseId Offer(const std::string& name, const std::string& task = "chest_pneumonia") {
    ReleaseRow row;
    row.release = ReleaseId::Parse(name).value();
    row.job = JobId::Parse("job-1").value();
    row.task = task;
    EXPECT_TRUE(releases().AddOffer(row).ok());
    return row.release;
  }
  ReleaseTable& releases() { return store_->releases(); }
  ReleaseState StateOf(const ReleaseId& release) { return releases().Get(release)->state; }

  testing::TempDir dir_;
  int64_t now_ = 1000;
  std::unique_ptr<SiteStore> store_ = SiteStore::Open(dir_.path()).value();
};

TEST_F(ReleaseTableTest, RollingBackPutsTheOneSupersededLastBackIntoUse) {
  const ReleaseId first = Offer("release-1");
  const ReleaseId second = Offer("release-2");
  const ReleaseId third = Offer("release-3");
  const ReleaseId other = Offer("release-4", "fracture");
  for (const ReleaseId& release : {other, first, second, third}) {
    ASSERT_TRUE(releases().Activate(release, "signed", ++now_).ok());
  }
  EXPECT_EQ(releases().RollBack(third, "rolled back", ++now_).value(), second);
  EXPECT_EQ(StateOf(third), ReleaseState::kRolledBack);
  EXPECT_EQ(StateOf(second), ReleaseState::kActive);
  EXPECT_EQ(StateOf(first), ReleaseState::kSuperseded);
  EXPECT_EQ(releases().RollBack(second, "rolled back", ++now_).value(), first);
  EXPECT_EQ(releases().RollBack(first, "rolled back", ++now_).value(), std::nullopt);
  EXPECT_EQ(StateOf(other), ReleaseState::kActive);
}

TEST_F(ReleaseTableTest, OnlyWhatIsInUseIsRolledBack) {
  const ReleaseId first = Offer("release-1");
  const ReleaseId second = Offer("release-2");
  ASSERT_TRUE(releases().Activate(first, "signed", ++now_).ok());
  ASSERT_TRUE(releases().Activate(second, "signed", ++now_).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(releases().RollBack(first, "rolled back", ++now_).status()));
  EXPECT_EQ(StateOf(first), ReleaseState::kSuperseded);
  EXPECT_EQ(StateOf(second), ReleaseState::kActive);
}

}  // namespace
}  // namespace cloister::site
