// SPDX-License-Identifier: Apache-2.0
// The parameters against what they are for: a coordinator that knows the graph, with colluders placed by chance,
// chooses who drops out; and dropouts by chance against whether the sum can be finished. At a few bits, so that
// failures can be counted.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "protocols/crypto/hash.h"
#include "protocols/secagg/graph.h"
#include "protocols/secagg/graph_parameters.h"

namespace cloister::secagg {
namespace {

constexpr uint32_t kDraws = 400;

Graph Draw(size_t n, int k, uint32_t seed) {
  return Graph::PermutedHarary(n, static_cast<size_t>(k), crypto::Sha256(CanonicalWriter().U32(seed).bytes())).value();
}

size_t CountMarked(const Graph& graph, size_t u, const std::vector<bool>& marked) {
  size_t count = 0;
  for (const size_t v : graph.Neighbourhood(u)) count += marked[v] ? 1 : 0;
  return count;
}

// Who sits where: the next place belongs to whoever shares all but one of the neighbourhood. Needs k + 2 < n.
std::vector<size_t> RingOf(const Graph& graph) {
  std::vector<size_t> ring = {0};
  std::vector<bool> placed(graph.size());
  placed[0] = true;
  while (ring.size() < graph.size()) {
    const std::vector<size_t> members = graph.Neighbourhood(ring.back());
    for (const size_t v : members) {
      const std::vector<size_t> others = graph.Neighbourhood(v);
      std::vector<size_t> shared;
      std::set_intersection(members.begin(), members.end(), others.begin(), others.end(), std::back_inserter(shared));
      if (placed[v] || shared.size() != graph.degree()) continue;
      ring.push_back(v);
      placed[v] = true;
      break;
    }
  }
  return ring;
}

// Does some honest site have 2t <= k + 1 + X? Sites below `colluders` are they.
bool BothSecretsFall(const Graph& graph, int threshold, size_t colluders) {
  std::vector<bool> hostile(graph.size());
  std::fill_n(hostile.begin(), colluders, true);
  for (size_t u = colluders; u < graph.size(); ++u) {
    const size_t reachable = graph.degree() + 1 + CountMarked(graph, u, hostile);
    if (2 * static_cast<size_t>(threshold) <= reachable) return true;
  }
  return false;
}

// Tries every arc of the ring, with the k/2 places at either end dropped out. Is there one, with honest sites inside
// and beyond them, whose every honest site has `threshold` holders that are inside or collude?
bool APartFalls(const Graph& graph, int threshold, size_t colluders) {
  const size_t n = graph.size();
  const size_t k = graph.degree();
  const std::vector<size_t> ring = RingOf(graph);
  for (size_t first = 0; first < n; ++first) {
    std::vector<bool> answers(n);  // holders that would help to unmask the arc
    std::fill_n(answers.begin(), colluders, true);
    std::vector<size_t> inside;  // honest
    for (size_t length = 1; length + k < n; ++length) {
      const size_t last = ring[(first + length - 1) % n];
      answers[last] = true;
      if (last >= colluders) inside.push_back(last);
      bool honest_outside = false;
      for (size_t i = length + k / 2; i < n - k / 2; ++i) honest_outside |= ring[(first + i) % n] >= colluders;
      if (inside.empty() || !honest_outside) continue;
      const bool falls = std::all_of(inside.begin(), inside.end(), [&](size_t u) {
        return CountMarked(graph, u, answers) >= static_cast<size_t>(threshold);
      });
      if (falls) return true;
    }
  }
  return false;
}

struct Rates {
  double both = 0;
  double part = 0;
};

Rates Attack(size_t n, size_t colluders, int degree, int threshold, uint32_t draws) {
  Rates rates;
  for (uint32_t seed = 0; seed < draws; ++seed) {
    const Graph graph = Draw(n, degree, seed);
    rates.both += BothSecretsFall(graph, threshold, colluders) ? 1 : 0;
    rates.part += APartFalls(graph, threshold, colluders) ? 1 : 0;
  }
  return {rates.both / draws, rates.part / draws};
}

// The same question by brute force: for every set of surviving honest sites, is one of its components, and not the
// only one, such that each of its sites has `threshold` holders in it or among the colluders?
bool AComponentFalls(const Graph& graph, int threshold, size_t colluders) {
  const size_t honest = graph.size() - colluders;
  for (uint32_t survivors = 1; survivors < uint32_t{1} << honest; ++survivors) {
    std::vector<bool> left(graph.size());  // survivors of no component yet
    for (size_t i = 0; i < honest; ++i) left[colluders + i] = (survivors >> i & 1) != 0;
    std::vector<std::vector<size_t>> components;
    for (size_t start = colluders; start < graph.size(); ++start) {
      if (!left[start]) continue;
      std::vector<size_t> component = {start};
      left[start] = false;
      for (size_t i = 0; i < component.size(); ++i) {
        for (const size_t v : graph.Neighbourhood(component[i])) {
          if (left[v]) component.push_back(v);
          left[v] = false;
        }
      }
      components.push_back(std::move(component));
    }
    if (components.size() < 2) continue;
    for (const std::vector<size_t>& component : components) {
      std::vector<bool> answers(graph.size());
      std::fill_n(answers.begin(), colluders, true);
      for (const size_t u : component) answers[u] = true;
      const bool falls = std::all_of(component.begin(), component.end(), [&](size_t u) {
        return CountMarked(graph, u, answers) >= static_cast<size_t>(threshold);
      });
      if (falls) return true;
    }
  }
  return false;
}

TEST(GraphAttackTest, CuttingOutAnArcIsTheBestChoiceOfDropouts) {
  int fallen = 0;
  int held = 0;
  for (uint32_t seed = 0; seed < 100; ++seed) {
    for (const int degree : {2, 4}) {
      const Graph graph = Draw(12, degree, seed);
      for (int threshold = 1; threshold <= degree + 1; ++threshold) {
        const bool falls = APartFalls(graph, threshold, 4);
        EXPECT_EQ(AComponentFalls(graph, threshold, 4), falls) << seed << " " << degree << " " << threshold;
        (falls ? fallen : held) += 1;
      }
    }
  }
  // Both answers have to come up for the comparison to say anything.
  EXPECT_GT(fallen, 40);
  EXPECT_GT(held, 40);
}

// In what part of the draws does some owner lack `threshold` holders, the owner itself not counted, when the same
// `dropouts` sites are gone?
double LossRate(size_t n, size_t dropouts, int degree, int threshold) {
  std::vector<bool> gone(n);
  std::fill_n(gone.begin(), dropouts, true);
  int lost = 0;
  for (uint32_t seed = 0; seed < kDraws; ++seed) {
    const Graph graph = Draw(n, degree, seed);
    bool short_of_shares = false;
    for (size_t u = 0; u < n; ++u) {
      const size_t gone_others = CountMarked(graph, u, gone) - (gone[u] ? 1 : 0);
      short_of_shares |= graph.degree() - gone_others < static_cast<size_t>(threshold);
    }
    lost += short_of_shares ? 1 : 0;
  }
  return static_cast<double>(lost) / kDraws;
}

TEST(GraphAttackTest, PrivacyFailsNoMoreOftenThanAskedFor) {
  for (const int colluders : {2, 6, 12}) {
    const auto [degree, threshold] = FindGraphParameters({48, colluders, 4, 1, 2, 2}).value();
    const Rates rates = Attack(48, static_cast<size_t>(colluders), degree, threshold, kDraws);
    // Two bits, half of it for each event: 1/8, and five standard deviations of 400 draws, 0.083.
    EXPECT_LE(rates.both, 0.125 + 0.083) << colluders;
    EXPECT_LE(rates.part, 0.125 + 0.083) << colluders;
    // A threshold two lower is no protection at all, which the attacks here are good enough to find.
    const Rates lower = Attack(48, static_cast<size_t>(colluders), degree, threshold - 2, 50);
    EXPECT_GT(lower.both, 0.125) << colluders;
    EXPECT_GT(lower.part, 0.5) << colluders;
  }
}

TEST(GraphAttackTest, AGraphThatIsKnownNeedsMoreThanOneThatIsNot) {
  // Without a single colluder: a site at the end of a part has itself and k/2 holders inside, which is all that the
  // model of dropouts by chance asks for. So any part can be cut off and unmasked by choosing who drops out.
  const GraphParameters by_chance = FindGraphParameters({70, 0, 7, 1}, GraphModel::kIndependentDropouts).value();
  EXPECT_EQ(Attack(70, 0, by_chance.degree, by_chance.threshold, 5).part, 1);
  const GraphParameters chosen = FindGraphParameters({70, 0, 7, 1}).value();
  EXPECT_EQ(Attack(70, 0, chosen.degree, chosen.threshold, 20).part, 0);
}

TEST(GraphAttackTest, SumsAreLostNoMoreOftenThanAskedFor) {
  for (const int dropouts : {4, 8, 12}) {
    const auto [degree, threshold] = FindGraphParameters({60, 3, dropouts, 1, 20, 2}).value();
    // Two bits: 1/4, and five standard deviations of 400 draws, 0.108.
    EXPECT_LE(LossRate(60, static_cast<size_t>(dropouts), degree, threshold), 0.25 + 0.108) << dropouts;
    EXPECT_GT(LossRate(60, static_cast<size_t>(dropouts), degree, threshold + 3), 0.25) << dropouts;
  }
}

TEST(GraphAttackTest, NothingFailsAtTheParametersOfCloister) {
  // 64 bits and 20 bits: a failure in 400 draws would be one chance in 2600.
  const auto [degree, threshold] = FindGraphParameters({65, 21, 6, 1}).value();
  const Rates rates = Attack(65, 21, degree, threshold, 50);
  EXPECT_EQ(rates.both, 0);
  EXPECT_EQ(rates.part, 0);
  EXPECT_EQ(LossRate(65, 6, degree, threshold), 0);
}

}  // namespace
}  // namespace cloister::secagg
