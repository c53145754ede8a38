// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph_tail.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace cloister::secagg {
namespace {

// Exact: C(60, 30) still fits.
uint64_t Binomial(int n, int k) {
  if (k < 0 || k > n) return 0;
  uint64_t value = 1;
  for (int i = 1; i <= std::min(k, n - k); ++i) {
    // value * (n - i + 1) may not fit, but is a multiple of i.
    const auto factor = static_cast<uint64_t>(n - i + 1);
    const auto divisor = static_cast<uint64_t>(i);
    value = value / divisor * factor + value % divisor * factor / divisor;
  }
  return value;
}

double Probability(const Hypergeometric& d, int x) {
  return static_cast<double>(Binomial(d.marked, x)) *
         static_cast<double>(Binomial(d.population - d.marked, d.draws - x)) /
         static_cast<double>(Binomial(d.population, d.draws));
}

TEST(GraphTailTest, ProbabilitiesAreThoseOfExactBinomials) {
  for (const int population : {1, 2, 7, 30, 60}) {
    for (int marked = 0; marked <= population; ++marked) {
      for (int draws = 0; draws <= population; ++draws) {
        const Hypergeometric distribution{population, marked, draws};
        for (int x = -1; x <= population + 1; ++x) {
          const double exact = Probability(distribution, x);
          const double computed = std::exp(LogProbability(distribution, x));
          // Nine logarithms of factorials up to 60!, each below 190 and right to a few units in the last place.
          EXPECT_NEAR(computed, exact, exact * 1e-12) << population << " " << marked << " " << draws << " " << x;
        }
      }
    }
  }
}

TEST(GraphTailTest, ProbabilitiesOfAMillionSitesAddUpToOne) {
  const Hypergeometric distribution{1'000'000, 333'333, 2000};
  double sum = 0;
  for (int x = 0; x <= 2000; ++x) sum += std::exp(LogProbability(distribution, x));
  EXPECT_NEAR(sum, 1, 1e-7);  // what the header promises of each
}

TEST(GraphTailTest, TheQuantileIsTheSmallestWithATailBelowTheLimit) {
  for (const int population : {1, 9, 40, 60}) {
    for (int marked = 0; marked <= population; marked += 3) {
      for (int draws = 0; draws <= population; draws += 2) {
        const Hypergeometric distribution{population, marked, draws};
        for (const double log_limit : {-0.3, -2.0, -10.0, -30.0, -90.0}) {
          // Summed upwards from the definition; no tail of these lies within a millionth of a limit.
          int wanted = population;
          double tail = 0;
          while (wanted > 0 && tail + Probability(distribution, wanted) < std::exp(log_limit)) {
            tail += Probability(distribution, wanted--);
          }
          EXPECT_EQ(UpperQuantile(distribution, log_limit), std::min({wanted, marked, draws}))
              << population << " " << marked << " " << draws << " " << log_limit;
        }
      }
    }
  }
}

TEST(GraphTailTest, TailsFarBelowADoubleAreTold) {
  // 2^-4000, which no double holds.
  const Hypergeometric distribution{100'000, 10'000, 2000};
  const int quantile = UpperQuantile(distribution, -4000 * std::log(2.0));
  EXPECT_GT(quantile, 1000);
  EXPECT_LT(quantile, 2000);
  EXPECT_LT(LogProbability(distribution, quantile + 1), -4000 * std::log(2.0));
  EXPECT_TRUE(std::isinf(LogProbability(distribution, 2001)));
}

TEST(GraphTailTest, NothingMarkedAndEverythingMarked) {
  EXPECT_EQ(UpperQuantile({50, 0, 20}, -44), 0);
  EXPECT_EQ(UpperQuantile({50, 50, 20}, -44), 20);
  EXPECT_EQ(UpperQuantile({50, 20, 50}, -44), 20);
  EXPECT_EQ(UpperQuantile({50, 10, 0}, -44), 0);
}

}  // namespace
}  // namespace cloister::secagg
