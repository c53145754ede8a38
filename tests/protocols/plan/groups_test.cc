// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/groups.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "protocols/crypto/hash.h"

namespace cloister::plan {
namespace {

std::vector<SiteId> Sites(size_t count) {
  std::vector<SiteId> sites;
  for (size_t i = 0; i < count; ++i) sites.push_back(SiteId::Parse(fmt::format("site-{:04}", i)).value());
  return sites;
}

const Digest kSeed = crypto::Sha256("seed");
const JobId kJob = JobId::Parse("job-1").value();

TEST(GroupsTest, EverySiteIsInOneGroupOfTenOrMore) {
  for (const size_t count : {50u, 59u, 60u, 99u, 101u, 1000u}) {
    const auto groups = DealGroups(kSeed, kJob, 1, Sites(count));
    ASSERT_TRUE(groups.ok()) << groups.status();
    EXPECT_EQ(groups->size(), count / 10);
    std::set<SiteId> seen;
    size_t smallest = count;
    size_t largest = 0;
    for (const auto& group : *groups) {
      smallest = std::min(smallest, group.size());
      largest = std::max(largest, group.size());
      EXPECT_TRUE(std::is_sorted(group.begin(), group.end()));
      seen.insert(group.begin(), group.end());
    }
    EXPECT_EQ(seen.size(), count);
    EXPECT_GE(smallest, kLeastGroupSites);
    EXPECT_LE(largest - smallest, 1u);
  }
}

TEST(GroupsTest, TheDealFollowsFromSeedJobRoundAndSitesAlone) {
  std::vector<SiteId> sites = Sites(60);
  const auto deal = *DealGroups(kSeed, kJob, 1, sites);
  std::reverse(sites.begin(), sites.end());
  EXPECT_EQ(*DealGroups(kSeed, kJob, 1, sites), deal);
  EXPECT_NE(*DealGroups(crypto::Sha256("another"), kJob, 1, sites), deal);
  EXPECT_NE(*DealGroups(kSeed, JobId::Parse("job-2").value(), 1, sites), deal);
  EXPECT_NE(*DealGroups(kSeed, kJob, 2, sites), deal);
  sites.push_back(SiteId::Parse("site-x").value());
  EXPECT_NE(*DealGroups(kSeed, kJob, 1, sites), deal);
}

// Two sites of 60 meet in one of six groups with probability 9/59; over 2000 rounds 305 times, deviation 16.
TEST(GroupsTest, WhoMeetsWhomIsUpToChance) {
  const std::vector<SiteId> sites = Sites(60);
  int met = 0;
  for (uint32_t round = 1; round <= 2000; ++round) {
    const std::vector<std::vector<SiteId>> groups = *DealGroups(kSeed, kJob, round, sites);
    for (const auto& group : groups) {
      met += std::binary_search(group.begin(), group.end(), sites[3]) &&
                     std::binary_search(group.begin(), group.end(), sites[41])
                 ? 1
                 : 0;
    }
  }
  EXPECT_NEAR(met, 2000 * 9.0 / 59, 5 * 16);
}

TEST(GroupsTest, TooFewOrDoubledSitesAreRefused) {
  EXPECT_EQ(DealGroups(kSeed, kJob, 1, Sites(49)).status().code(), absl::StatusCode::kFailedPrecondition);
  std::vector<SiteId> sites = Sites(60);
  sites[3] = sites[4];
  EXPECT_EQ(DealGroups(kSeed, kJob, 1, sites).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::plan
