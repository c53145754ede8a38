#pragma once
// SPDX-License-Identifier: Apache-2.0
// The coordinator's status page: experiments, rounds, sites, gates and releases, read-only, behind a login. Every page
// renews itself; /status.json says the same to scripts.

#include <filesystem>
#include <memory>
#include <string>

#include "coordinator/service/driver.h"
#include "protocols/base/clock.h"
#include "protocols/transport/http_server.h"

namespace cloister::coordinator {

struct StatusSiteOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free one
  std::filesystem::path users_file;
};

class StatusSite {
 public:
  // `driver` and `clock` must outlive it. FAILED_PRECONDITION: the port is in use.
  static absl::StatusOr<std::unique_ptr<StatusSite>> Start(const StatusSiteOptions& options, Driver* driver,
                                                           const Clock* clock);

  int port() const { return server_->port(); }
  std::string url() const { return server_->url(); }

 private:
  explicit StatusSite(std::unique_ptr<transport::HttpServer> server) : server_(std::move(server)) {}

  std::unique_ptr<transport::HttpServer> server_;
};

}  // namespace cloister::coordinator
