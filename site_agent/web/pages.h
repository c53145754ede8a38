#pragma once
// SPDX-License-Identifier: Apache-2.0
// The portal's pages, one function each: from the store to HTML. No route, form or login lives here.

#include <absl/time/time.h>

#include <functional>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/transport/http_server.h"
#include "protocols/transport/page.h"
#include "site_agent/policy/policy.h"
#include "site_agent/storage/site_store.h"

namespace cloister::site {

// What every page is made from.
struct PageContext {
  SiteStore* store;
  const transport::HttpRequest* request;
  absl::Time now;
  std::function<absl::StatusOr<Policy>()> policy;  // as it is now

  // The text of the page's language.
  const char* Say(const char* english, const char* chinese) const {
    return request->language == "zh" ? chinese : english;
  }
};

// The inside of a page. Codes as the store's.
absl::StatusOr<std::string> OverviewHtml(const PageContext& context);
absl::StatusOr<std::string> CohortsHtml(const PageContext& context);
absl::StatusOr<std::string> ExperimentsHtml(const PageContext& context);
// NOT_FOUND: no such release.
absl::StatusOr<std::string> ReleaseHtml(const PageContext& context, const ReleaseId& release);
absl::StatusOr<std::string> ReleasesHtml(const PageContext& context);
absl::StatusOr<std::string> OutboundHtml(const PageContext& context);

// "3 min ago"; "never" for 0.
std::string Ago(const PageContext& context, int64_t unix_ms);
// "44.8 MB".
std::string Size(uint64_t bytes);
// A release's state as a chip.
std::string ReleaseChip(const PageContext& context, ReleaseState state);

}  // namespace cloister::site
