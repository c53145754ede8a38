// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph_parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "protocols/secagg/graph_tail.h"

namespace cloister::secagg {
namespace {

constexpr int kLeastSites = 3;
constexpr int kMostSites = 1'000'000;
constexpr int64_t kMostGraphs = int64_t{1} << 48;
constexpr double kMostBits = 256;
constexpr double kLog2 = 0.69314718055994531;

absl::Status CheckRequirements(const GraphRequirements& requirements) {
  const auto& [sites, colluders, dropouts, graphs, privacy_bits, correctness_bits] = requirements;
  if (sites < kLeastSites || sites > kMostSites) {
    return absl::InvalidArgumentError(
        fmt::format("a sparse graph of {} sites, not {} to {}", sites, kLeastSites, kMostSites));
  }
  if (colluders < 0 || dropouts < 0 || colluders >= sites - dropouts) {
    return absl::InvalidArgumentError(
        fmt::format("{} colluders and {} dropouts are negative or all of {} sites", colluders, dropouts, sites));
  }
  if (graphs < 1 || graphs > kMostGraphs) {
    return absl::InvalidArgumentError(fmt::format("{} graphs in an experiment, not 1 to 2^48", graphs));
  }
  for (const double bits : {privacy_bits, correctness_bits}) {
    if (!(bits >= 1 && bits <= kMostBits)) {
      return absl::InvalidArgumentError(fmt::format("a failure of 2^-{}, not 2^-1 to 2^-{}", bits, kMostBits));
    }
  }
  return absl::OkStatus();
}

// In how many ways a ring of n is cut in two, each part at least one place, by two runs of k/2 places.
double LogCuts(int n, int k) {
  return std::log(static_cast<double>(n)) + std::log(n - k - 1.0) - kLog2;
}

class Search {
 public:
  Search(const GraphRequirements& requirements, GraphModel model)
      : n_(requirements.sites),
        colluders_(requirements.colluders),
        dropouts_(requirements.dropouts),
        is_bell_(model == GraphModel::kIndependentDropouts),
        log_per_event_(-(requirements.privacy_bits + 1) * kLog2 - std::log(static_cast<double>(requirements.graphs))),
        log_lost_(-requirements.correctness_bits * kLog2) {}

  // The smallest threshold that keeps privacy at degree k; more than k + 1 when none does.
  int LeastThreshold(int k) const {
    const double log_n = std::log(static_cast<double>(n_));
    if (is_bell_) {
      // n, not n - 1, is what fcp/secagg draws the neighbours from.
      const int hostile = UpperQuantile({n_, colluders_, k}, log_per_event_ - log_n);
      if (LogDisconnected(k) >= log_per_event_) return std::numeric_limits<int>::max();
      return std::max((k + hostile) / 2 + 1, 2);
    }
    const int hostile = UpperQuantile({n_ - 1, colluders_, k}, log_per_event_ - log_n);
    const int hostile_at_ends = UpperQuantile({n_, colluders_, k}, log_per_event_ - LogCuts(n_, k));
    // 2t > k + 1 + hostile, and 2 (t - 1 - k/2) > hostile_at_ends.
    return (k + std::max(1 + hostile, 2 + hostile_at_ends)) / 2 + 1;
  }

  // The largest threshold that d random dropouts leave reachable at every owner. The owner's own share is not counted
  // on: it may be the one that dropped.
  int GreatestThreshold(int k) const {
    const int others = is_bell_ ? n_ : n_ - 1;
    return k - UpperQuantile({others, dropouts_, k}, log_lost_ - std::log(static_cast<double>(n_)));
  }

 private:
  // A cut whose k places are all colluders or dropouts.
  double LogDisconnected(int k) const { return LogCuts(n_, k) + LogProbability({n_, colluders_ + dropouts_, k}, k); }

  int n_;
  int colluders_;
  int dropouts_;
  bool is_bell_;
  double log_per_event_;
  double log_lost_;
};

}  // namespace

absl::StatusOr<GraphParameters> FindGraphParameters(const GraphRequirements& requirements, GraphModel model) {
  CLOISTER_RETURN_IF_ERROR(CheckRequirements(requirements));
  const Search search(requirements, model);
  for (int k = 2; k < requirements.sites - 1; k += 2) {
    const int threshold = search.LeastThreshold(k);
    if (threshold <= search.GreatestThreshold(k)) return GraphParameters{k, threshold};
  }
  return absl::FailedPreconditionError(
      fmt::format("no sparse graph of {} sites stands {} colluders and {} dropouts with {} bits of privacy over {} "
                  "graphs and {} bits of correctness",
                  requirements.sites, requirements.colluders, requirements.dropouts, requirements.privacy_bits,
                  requirements.graphs, requirements.correctness_bits));
}

}  // namespace cloister::secagg
