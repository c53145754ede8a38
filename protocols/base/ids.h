#pragma once
// SPDX-License-Identifier: Apache-2.0
// Strong identifiers. A SiteId cannot be passed where a JobId is wanted, and neither can hold a hostile string.

#include <string>
#include <string_view>

#include "protocols/base/status.h"

namespace cloister {

// INVALID_ARGUMENT unless `text` is 1 to 63 of [a-z0-9_-] and starts with a letter or digit; `what` names it.
absl::Status CheckIdentifier(std::string_view text, std::string_view what);

template <typename Tag>
class Id {
 public:
  Id() = default;
  // INVALID_ARGUMENT: see CheckIdentifier.
  static absl::StatusOr<Id> Parse(std::string_view text) {
    CLOISTER_RETURN_IF_ERROR(CheckIdentifier(text, Tag::kName));
    Id id;
    id.value_ = std::string(text);
    return id;
  }

  const std::string& value() const { return value_; }
  bool empty() const { return value_.empty(); }

  friend bool operator==(const Id& a, const Id& b) { return a.value_ == b.value_; }
  friend bool operator!=(const Id& a, const Id& b) { return a.value_ != b.value_; }
  friend bool operator<(const Id& a, const Id& b) { return a.value_ < b.value_; }

 private:
  std::string value_;
};

struct SiteTag {
  static constexpr std::string_view kName = "site id";
};
struct JobTag {
  static constexpr std::string_view kName = "job id";
};
struct ReleaseTag {
  static constexpr std::string_view kName = "release id";
};

using SiteId = Id<SiteTag>;        // a hospital's agent, as in its certificate
using JobId = Id<JobTag>;          // one submitted experiment
using ReleaseId = Id<ReleaseTag>;  // one published ensemble

}  // namespace cloister
