// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph_parameters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "protocols/secagg/graph_tail.h"

namespace cloister::secagg {
namespace {

struct Published {
  int sites;
  int colluders;
  int dropouts;
  int degree;
  int threshold;
};

// The semi-malicious rows of fcp/secagg/server/graph_parameter_finder_test.cc, its rates as counts: 40 bits of
// security, 20 of correctness. Left out: those of more than ten thousand sites with a degree above a thousand, which
// take seconds.
const std::vector<Published> kPublished = {
    {100, 30, 30, 92, 62},
    {1000, 300, 300, 872, 584},
    {10'000, 3000, 3000, 4822, 3230},
    {10, 0, 3, 8, 5},
    {100, 5, 33, 72, 39},
    {1000, 50, 330, 398, 223},
    {10'000, 500, 3300, 746, 420},
    {100'000, 5000, 33'000, 882, 496},
    {1'000'000, 50'000, 330'000, 970, 545},
    {10, 3, 0, 4, 4},
    {100, 33, 5, 42, 37},
    {1000, 330, 50, 132, 109},
    {10'000, 3300, 500, 178, 146},
    {100'000, 33'000, 5000, 196, 160},
    {1'000'000, 330'000, 50'000, 212, 173},
    {10, 0, 0, 2, 2},
    {100, 5, 5, 16, 11},
    {1000, 50, 50, 52, 37},
    {10'000, 500, 500, 62, 44},
    {100'000, 5000, 5000, 68, 48},
    {1'000'000, 50'000, 50'000, 74, 52},
    {100, 33, 0, 26, 26},
    {1000, 330, 0, 38, 37},
    {10'000, 3300, 0, 42, 41},
    {100'000, 33'000, 0, 46, 45},
    {1'000'000, 330'000, 0, 50, 49},
    {100, 0, 33, 68, 35},
    {1000, 0, 330, 228, 115},
    {10'000, 0, 3300, 326, 164},
    {100'000, 0, 33'000, 372, 187},
    {1'000'000, 0, 330'000, 410, 206},
    {100, 0, 0, 2, 2},
    {1'000'000, 0, 0, 2, 2},
};

TEST(GraphParametersTest, ThePublishedTableComesOut) {
  for (const Published& row : kPublished) {
    const GraphRequirements requirements{row.sites, row.colluders, row.dropouts, 1, 40, 20};
    const absl::StatusOr<GraphParameters> found = FindGraphParameters(requirements, GraphModel::kIndependentDropouts);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->degree, row.degree) << row.sites << " " << row.colluders << " " << row.dropouts;
    EXPECT_EQ(found->threshold, row.threshold) << row.sites << " " << row.colluders << " " << row.dropouts;
  }
}

// log P[X > x], summed from its largest terms down: another way than UpperQuantile's.
double LogTail(const Hypergeometric& distribution, int x) {
  double scaled = 0;
  const double first = LogProbability(distribution, x + 1);
  if (std::isinf(first)) return first;
  for (int i = x + 1; i <= distribution.draws; ++i) scaled += std::exp(LogProbability(distribution, i) - first);
  return first + std::log(scaled);
}

struct Case {
  int sites;
  int colluders;
  int dropouts;
};

const std::vector<Case> kCases = {{65, 21, 6}, {65, 3, 6},    {100, 33, 10}, {100, 5, 10},     {100, 0, 10},
                                  {100, 5, 0}, {300, 99, 30}, {300, 15, 30}, {1000, 333, 100}, {1000, 50, 100}};

TEST(GraphParametersTest, EveryFailureStaysBelowItsShare) {
  for (const Case& now : kCases) {
    const GraphRequirements requirements{now.sites, now.colluders, now.dropouts, 1 << 10};
    const absl::StatusOr<GraphParameters> found = FindGraphParameters(requirements);
    ASSERT_TRUE(found.ok()) << found.status();
    const auto [k, t] = *found;
    const int n = now.sites;
    EXPECT_EQ(k % 2, 0);
    EXPECT_LT(k, n - 1);
    EXPECT_LE(t, k + 1);
    // Both secrets of some site: 2t <= k + 1 + X.
    const double both = std::log(n) + LogTail({n - 1, now.colluders, k}, 2 * t - k - 2);
    // A part unmasked alone: t - 1 - k/2 colluders at either end.
    const double part = std::log(n * (n - k - 1.0) / 2) + LogTail({n, now.colluders, k}, 2 * (t - 1 - k / 2) - 1);
    const double graphs = std::log(1 << 10);
    EXPECT_LT(std::exp((graphs + both) + 64 * std::log(2)) + std::exp((graphs + part) + 64 * std::log(2)), 1.0)
        << n << " " << now.colluders;
    // Some owner with fewer than t live neighbours.
    EXPECT_LT(std::log(n) + LogTail({n - 1, now.dropouts, k}, k - t), -20 * std::log(2)) << n << " " << now.dropouts;
  }
}

TEST(GraphParametersTest, KnownAnswers) {
  // n, c, d, k, t at 64 bits over one graph; a change of these changes what every site computes.
  const std::vector<Published> expected = {{100, 33, 10, 56, 46}, {100, 5, 10, 28, 18},       {300, 99, 30, 150, 121},
                                           {300, 15, 30, 56, 37}, {1000, 333, 100, 272, 218}, {1000, 50, 100, 94, 65}};
  for (const Published& row : expected) {
    const absl::StatusOr<GraphParameters> found = FindGraphParameters({row.sites, row.colluders, row.dropouts, 1});
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->degree, row.degree) << row.sites << " " << row.colluders;
    EXPECT_EQ(found->threshold, row.threshold) << row.sites << " " << row.colluders;
  }
}

// More than any when there are none.
GraphParameters FoundOrAll(const GraphRequirements& requirements) {
  const absl::StatusOr<GraphParameters> found = FindGraphParameters(requirements);
  return found.ok() ? *found : GraphParameters{requirements.sites, requirements.sites};
}

TEST(GraphParametersTest, MoreColludersDropoutsGraphsOrBitsNeverNeedFewerNeighboursOrShares) {
  for (const int n : {66, 101, 250}) {
    for (int c = 0; c < n / 2; c += 5) {
      for (int d = 0; d < n / 3; d += 5) {
        const GraphParameters found = FoundOrAll({n, c, d, 1});
        const std::vector<GraphRequirements> harder = {
            {n, c + 1, d, 1}, {n, c, d + 1, 1}, {n, c, d, 1000}, {n, c, d, 1, 80}, {n, c, d, 1, 64, 40}};
        for (const GraphRequirements& requirements : harder) {
          EXPECT_LE(found.degree, FoundOrAll(requirements).degree) << n << " " << c << " " << d;
          EXPECT_LE(found.threshold, FoundOrAll(requirements).threshold) << n << " " << c << " " << d;
        }
      }
    }
  }
}

TEST(GraphParametersTest, WhatNoDegreeStandsIsRefused) {
  // c + 2d >= n: whatever keeps 2t > k + c out of reach also keeps the survivors out of it.
  for (const Case& now : std::vector<Case>{{100, 34, 33}, {100, 50, 25}, {10, 3, 3}, {3, 0, 0}, {4, 1, 1}}) {
    EXPECT_EQ(FindGraphParameters({now.sites, now.colluders, now.dropouts, 1}).status().code(),
              absl::StatusCode::kFailedPrecondition)
        << now.sites << " " << now.colluders << " " << now.dropouts;
  }
}

TEST(GraphParametersTest, MalformedRequirementsAreRefused) {
  const std::vector<GraphRequirements> malformed = {{0, 0, 0, 1},
                                                    {2, 0, 0, 1},
                                                    {-5, 0, 0, 1},
                                                    {1'000'001, 0, 0, 1},
                                                    {100, -1, 5, 1},
                                                    {100, 5, -1, 1},
                                                    {100, 60, 40, 1},
                                                    {100, 101, 0, 1},
                                                    {100, 0, 100, 1},
                                                    {100, 2'147'483'647, 1, 1},
                                                    {100, 1, 2'147'483'647, 1},
                                                    {100, 5, 5, 0},
                                                    {100, 5, 5, -1},
                                                    {100, 5, 5, (int64_t{1} << 48) + 1},
                                                    {100, 5, 5, 1, 0},
                                                    {100, 5, 5, 1, 257},
                                                    {100, 5, 5, 1, 64, 0},
                                                    {100, 5, 5, 1, 64, -20},
                                                    {100, 5, 5, 1, std::nan("")}};
  for (const GraphRequirements& requirements : malformed) {
    EXPECT_EQ(FindGraphParameters(requirements).status().code(), absl::StatusCode::kInvalidArgument)
        << requirements.sites << " " << requirements.colluders << " " << requirements.dropouts;
  }
}

}  // namespace
}  // namespace cloister::secagg
