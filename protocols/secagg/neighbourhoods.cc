// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/neighbourhoods.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/secagg/graph_seed.h"

namespace cloister::secagg {
namespace {

constexpr int kDropoutShare = 10;  // one participant in so many may drop out

}  // namespace

absl::StatusOr<GraphParameters> SparseParametersOf(size_t participants, int colluders, int64_t graphs) {
  const int n = static_cast<int>(participants);
  return FindGraphParameters({n, colluders, n / kDropoutShare, graphs});
}

absl::StatusOr<Neighbourhoods> Neighbourhoods::Create(const SumParams& params, const std::vector<SiteId>& roster) {
  Neighbourhoods result(roster.size());
  if (!params.graph.has_value()) {
    result.threshold_ = Threshold(static_cast<int>(roster.size()));
    return result;
  }
  std::vector<SiteId> participants = params.participants;
  std::sort(participants.begin(), participants.end());
  CLOISTER_ASSIGN_OR_RETURN(const GraphParameters parameters,
                            SparseParametersOf(participants.size(), params.colluders, params.graph->graphs));
  const Digest seed = RoundGraphSeed(params.graph->seed, params.job, params.round, params.attempt);
  CLOISTER_ASSIGN_OR_RETURN(Graph graph,
                            Graph::PermutedHarary(participants.size(), static_cast<size_t>(parameters.degree), seed));
  result.member_of_.resize(participants.size());
  for (size_t member = 0; member < roster.size(); ++member) {
    const auto found = std::lower_bound(participants.begin(), participants.end(), roster[member]);
    if (found == participants.end() || *found != roster[member]) {
      return absl::InvalidArgumentError(
          fmt::format("{}: site {} is not a participant", NameOf(params), roster[member].value()));
    }
    const size_t place = static_cast<size_t>(found - participants.begin());
    result.place_of_.push_back(place);
    result.member_of_[place] = member;
  }
  result.threshold_ = parameters.threshold;
  result.terms_ = Terms{seed, parameters};
  result.graph_ = std::move(graph);
  return result;
}

std::vector<Holder> Neighbourhoods::HoldersOf(size_t owner) const {
  std::vector<Holder> holders;
  if (!graph_.has_value()) {
    for (size_t member = 0; member < members_; ++member) holders.push_back({member, static_cast<uint32_t>(member) + 1});
    return holders;
  }
  uint32_t x = 0;
  for (const size_t place : graph_->Neighbourhood(place_of_[owner])) {
    ++x;
    if (member_of_[place].has_value()) holders.push_back({*member_of_[place], x});
  }
  return holders;
}

std::optional<Neighbourhoods::OutOfReach> Neighbourhoods::FindOutOfReach(const std::vector<size_t>& owners,
                                                                         const std::vector<size_t>& present) const {
  std::vector<bool> is_present(graph_.has_value() ? graph_->size() : members_);
  for (const size_t member : present) is_present[graph_.has_value() ? place_of_[member] : member] = true;
  for (const size_t owner : owners) {
    const size_t holders =
        graph_.has_value() ? graph_->CountNeighbourhood(place_of_[owner], is_present) : present.size();
    if (holders < static_cast<size_t>(threshold_)) return OutOfReach{owner, holders};
  }
  return std::nullopt;
}

}  // namespace cloister::secagg
