#pragma once
// SPDX-License-Identifier: Apache-2.0
// Which sites add up together where a plan asks for robust aggregation: random groups, dealt by a seed that nobody
// chose alone (secagg::GraphSeedAgreement), so that neither the coordinator nor a site can say who is with whom.

#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/base/status.h"

namespace cloister::plan {

inline constexpr size_t kLeastGroupSites = 10;  // the privacy set of a site
inline constexpr size_t kLeastGroupedSites = 50;

// Groups of kLeastGroupSites sites or a few more, sizes equal up to one, each sorted; which of the possible deals is a
// function of the seed, the job, the round and the set of sites, and each is as likely. Not of the attempt: a second
// deal of one round would tell the differences of groups. INVALID_ARGUMENT: a site twice. FAILED_PRECONDITION: fewer
// than kLeastGroupedSites.
absl::StatusOr<std::vector<std::vector<SiteId>>> DealGroups(const Digest& seed, const JobId& job, uint32_t round,
                                                            std::vector<SiteId> sites);

}  // namespace cloister::plan
