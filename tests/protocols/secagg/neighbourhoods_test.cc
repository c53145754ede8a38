// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/neighbourhoods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "protocols/secagg/graph_seed.h"
#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::vector<SiteId> SortedSites(int n) {
  std::vector<SiteId> sites = SitesUpTo(n);
  std::sort(sites.begin(), sites.end());
  return sites;
}

std::map<SiteId, uint32_t> HoldersByName(const Neighbourhoods& neighbourhoods, const std::vector<SiteId>& roster,
                                         size_t owner) {
  std::map<SiteId, uint32_t> holders;
  for (const auto& [member, x] : neighbourhoods.HoldersOf(owner)) holders[roster[member]] = x;
  return holders;
}

TEST(NeighbourhoodsTest, OnTheFullGraphEverybodyHoldsSharesOfEverybody) {
  const auto neighbourhoods = Neighbourhoods::Create(TestParams(), SortedSites(7)).value();
  EXPECT_EQ(neighbourhoods.threshold(), 5);
  EXPECT_FALSE(neighbourhoods.terms().has_value());
  const std::vector<Holder> holders = neighbourhoods.HoldersOf(3);
  ASSERT_EQ(holders.size(), 7u);
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(holders[i].member, i);
    EXPECT_EQ(holders[i].x, i + 1);
  }
}

TEST(NeighbourhoodsTest, ParametersAreThoseOfTheParticipants) {
  const SumParams params = SparseParams(100, 33);
  const auto neighbourhoods = Neighbourhoods::Create(params, SortedSites(100)).value();
  const GraphParameters wanted = FindGraphParameters({100, 33, 10, params.graph->graphs}).value();
  EXPECT_EQ(neighbourhoods.threshold(), wanted.threshold);
  EXPECT_EQ(neighbourhoods.terms()->parameters.degree, wanted.degree);
  EXPECT_EQ(neighbourhoods.terms()->seed, RoundGraphSeed(params.graph->seed, params.job, params.round, params.attempt));
  for (size_t owner = 0; owner < 100; ++owner) {
    EXPECT_EQ(neighbourhoods.HoldersOf(owner).size(), static_cast<size_t>(wanted.degree) + 1);
  }
}

// Whoever is left out moves nobody: the others hold the same shares at the same x.
TEST(NeighbourhoodsTest, TheGraphDoesNotDependOnTheRoster) {
  const SumParams params = SparseParams(80, 5);
  const std::vector<SiteId> all = SortedSites(80);
  const auto whole = Neighbourhoods::Create(params, all).value();
  std::vector<SiteId> some;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % 5 != 2) some.push_back(all[i]);
  }
  const auto part = Neighbourhoods::Create(params, some).value();
  EXPECT_EQ(part.threshold(), whole.threshold());
  for (size_t owner = 0; owner < some.size(); ++owner) {
    const size_t in_all = static_cast<size_t>(std::find(all.begin(), all.end(), some[owner]) - all.begin());
    std::map<SiteId, uint32_t> expected;
    for (const auto& [site, x] : HoldersByName(whole, all, in_all)) {
      if (std::binary_search(some.begin(), some.end(), site)) expected[site] = x;
    }
    EXPECT_EQ(HoldersByName(part, some, owner), expected) << some[owner].value();
  }
}

TEST(NeighbourhoodsTest, EveryRoundAndAttemptHasItsOwnGraph) {
  SumParams params = SparseParams(70, 5);
  const std::vector<SiteId> all = SortedSites(70);
  const auto first = HoldersByName(Neighbourhoods::Create(params, all).value(), all, 0);
  params.attempt = 1;
  EXPECT_NE(HoldersByName(Neighbourhoods::Create(params, all).value(), all, 0), first);
  params.attempt = 0;
  params.round += 1;
  EXPECT_NE(HoldersByName(Neighbourhoods::Create(params, all).value(), all, 0), first);
  params.round -= 1;
  params.kind = "validation";
  EXPECT_EQ(HoldersByName(Neighbourhoods::Create(params, all).value(), all, 0), first) << "no further chance";
}

// Seed, degree and threshold: who takes them for others has other keys.
TEST(NeighbourhoodsTest, EveryTermIsInTheContext) {
  const Digest ctx0 = crypto::Sha256("ctx0");
  const std::vector<Bytes> adverts = {"one", "two"};
  const Neighbourhoods::Terms terms{crypto::Sha256("seed"), {20, 12}};
  std::set<Digest> contexts = {RosterContext(ctx0, adverts, 2, std::nullopt), RosterContext(ctx0, adverts, 2, terms),
                               RosterContext(ctx0, adverts, 3, terms)};
  for (const Neighbourhoods::Terms& other : {Neighbourhoods::Terms{crypto::Sha256("other"), {20, 12}},
                                             Neighbourhoods::Terms{crypto::Sha256("seed"), {22, 12}},
                                             Neighbourhoods::Terms{crypto::Sha256("seed"), {20, 13}}}) {
    contexts.insert(RosterContext(ctx0, adverts, 2, other));
  }
  EXPECT_EQ(contexts.size(), 6u);
}

TEST(NeighbourhoodsTest, FindsWhoIsOutOfReach) {
  const auto neighbourhoods = Neighbourhoods::Create(SparseParams(70, 5), SortedSites(70)).value();
  std::vector<size_t> all(70);
  std::iota(all.begin(), all.end(), size_t{0});
  EXPECT_FALSE(neighbourhoods.FindOutOfReach(all, all).has_value());
  std::vector<size_t> holders;
  for (const auto& [member, x] : neighbourhoods.HoldersOf(9)) holders.push_back(member);
  const size_t t = static_cast<size_t>(neighbourhoods.threshold());
  std::vector<size_t> present(holders.begin(), holders.begin() + static_cast<long>(t));
  EXPECT_FALSE(neighbourhoods.FindOutOfReach({9}, present).has_value());
  present.pop_back();
  const auto lost = neighbourhoods.FindOutOfReach({9}, present);
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->owner, 9u);
  EXPECT_EQ(lost->holders, t - 1);
}

TEST(NeighbourhoodsTest, SparseParametersAreChecked) {
  EXPECT_TRUE(CheckParams(SparseParams(65, 21)).ok());
  EXPECT_EQ(CheckParams(SparseParams(64, 1)).code(), kInvalid) << "the graph of so few is full";
  EXPECT_EQ(CheckParams(SparseParams(66, 55)).code(), kFailedPrecondition) << "no degree is enough";
  SumParams params = SparseParams(65, 1);
  params.graph->graphs = 0;
  EXPECT_EQ(CheckParams(params).code(), kInvalid);
  EXPECT_EQ(Neighbourhoods::Create(SparseParams(65, 1), {SiteNumber(999)}).status().code(), kInvalid);
  EXPECT_TRUE(CheckCohort(SparseParams(300, 1), 300).ok());
  EXPECT_EQ(CheckCohort(TestParams(), 129).code(), kFailedPrecondition) << "not on the full graph";
}

}  // namespace
}  // namespace cloister::secagg
