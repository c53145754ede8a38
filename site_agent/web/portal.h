#pragma once
// SPDX-License-Identifier: Apache-2.0
// The site's portal on localhost: what the agent does, which experiments wait for approval, which releases wait for a
// clinician, the validation reports, and what left the building. Reads and writes the site's store as the command line
// does; it never talks to the coordinator or the PACS.

#include <functional>
#include <memory>
#include <string>

#include "protocols/base/clock.h"
#include "protocols/base/status.h"
#include "protocols/transport/http_server.h"
#include "site_agent/policy/policy.h"
#include "site_agent/storage/site_store.h"

namespace cloister::site {

struct PortalOptions {
  std::string site;  // site id, shown beside the product's name
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free one
  transport::Users users;
  std::function<absl::StatusOr<Policy>()> policy;  // as it is now
  std::filesystem::path users_file;                // more of them, read at every login; see transport::HttpOptions
};

class Portal {
 public:
  // Listens at once. `store` and `clock` must outlive it. FAILED_PRECONDITION: the port is in use.
  static absl::StatusOr<std::unique_ptr<Portal>> Start(const PortalOptions& options, SiteStore* store,
                                                       const Clock* clock);
  std::string url() const { return server_->url(); }

 private:
  Portal(std::string site, std::unique_ptr<transport::HttpServer> server)
      : site_(std::move(site)), server_(std::move(server)) {}

  std::string site_;
  std::unique_ptr<transport::HttpServer> server_;
};

}  // namespace cloister::site
