// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/site_context.h"

#include "protocols/base/log.h"

namespace cloister::site {

void SiteContext::Tell(const std::string& job, const std::string& text) const {
  Log()->info("{}{}{}", job, job.empty() ? "" : ": ", text);
  (void)store->progress().AddEvent(job, text, NowUnixMs());
}

}  // namespace cloister::site
