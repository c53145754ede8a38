#pragma once
// SPDX-License-Identifier: Apache-2.0
// A status that knows which site's doing it is, beside its words.

#include <absl/strings/cord.h>

#include <optional>

#include "protocols/base/ids.h"
#include "protocols/base/status.h"

namespace cloister::secagg {

inline constexpr char kCulpritUrl[] = "cloister/culprit";

inline absl::Status WithCulprit(absl::Status status, const SiteId& site) {
  status.SetPayload(kCulpritUrl, absl::Cord(site.value()));
  return status;
}

// Nothing: nobody is to blame, or it is not known who.
inline std::optional<SiteId> CulpritOf(const absl::Status& status) {
  const auto name = status.GetPayload(kCulpritUrl);
  if (!name.has_value()) return std::nullopt;
  const absl::StatusOr<SiteId> site = SiteId::Parse(std::string(*name));
  return site.ok() ? std::optional<SiteId>(*site) : std::nullopt;
}

}  // namespace cloister::secagg
