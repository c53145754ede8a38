// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/groups.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/secagg/graph_permutation.h"

namespace cloister::plan {

absl::StatusOr<std::vector<std::vector<SiteId>>> DealGroups(const Digest& seed, const JobId& job, uint32_t round,
                                                            std::vector<SiteId> sites) {
  std::sort(sites.begin(), sites.end());
  if (std::adjacent_find(sites.begin(), sites.end()) != sites.end()) {
    return absl::InvalidArgumentError("groups of sites: a site twice");
  }
  if (sites.size() < kLeastGroupedSites) {
    return absl::FailedPreconditionError(
        fmt::format("groups of {} sites; at least {} are needed", sites.size(), kLeastGroupedSites));
  }
  CanonicalWriter label;
  label.Blob("cloister/groups").Blob(job.value()).U32(round).U64(sites.size());
  for (const SiteId& site : sites) label.Blob(site.value());
  crypto::SeededStream stream(crypto::SecretBytes::CopyOf(seed.view()), label.bytes());
  const std::vector<uint32_t> order = secagg::RandomPermutation(stream, static_cast<uint32_t>(sites.size()));
  std::vector<std::vector<SiteId>> groups(sites.size() / kLeastGroupSites);
  for (size_t i = 0; i < order.size(); ++i) groups[i % groups.size()].push_back(sites[order[i]]);
  for (std::vector<SiteId>& group : groups) std::sort(group.begin(), group.end());
  return groups;
}

}  // namespace cloister::plan
