#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the coordinator says, as text for people and as JSON for scripts.

#include <absl/time/time.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/wire/operator_messages.h"

namespace cloister::coordinator {

using Json = nlohmann::ordered_json;

std::string ExperimentText(const wire::ExperimentStatus& status);
std::string ExperimentsText(const std::vector<wire::ExperimentStatus>& list, absl::Time now);
std::string GatesText(const std::vector<wire::GateStatus>& gates);
std::string ReleasesText(const std::vector<wire::ReleaseStatus>& list, absl::Time now);
// INVALID_ARGUMENT: its manifest is not one.
absl::StatusOr<std::string> ReleaseText(const wire::ReleaseStatus& release);
std::string SitesText(const std::vector<wire::SiteStatus>& list, absl::Time now);

Json ToJson(const wire::ExperimentStatus& status);
Json ToJson(const wire::ExperimentEvent& event);
Json ToJson(const wire::ReleaseStatus& release);
Json ToJson(const wire::SiteStatus& site);

// "3 min ago".
std::string Ago(int64_t unix_ms, absl::Time now);

}  // namespace cloister::coordinator
