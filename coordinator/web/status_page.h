#pragma once
// SPDX-License-Identifier: Apache-2.0
// The coordinator's status page: experiments with their rounds, sites and gates, releases, and the sites of the
// federation. Shows only what an operator may know; there is nothing about patients here to show.

#include <memory>
#include <string>

#include "coordinator/service/driver.h"
#include "protocols/base/clock.h"
#include "protocols/transport/http_server.h"

namespace cloister::coordinator {

struct StatusPageOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free one
  transport::Users users;
};

class StatusPage {
 public:
  // Listens at once. `driver` and `clock` must outlive it. FAILED_PRECONDITION: the port is in use.
  static absl::StatusOr<std::unique_ptr<StatusPage>> Start(const StatusPageOptions& options, Driver* driver,
                                                           const Clock* clock);
  std::string url() const { return server_->url(); }

 private:
  explicit StatusPage(std::unique_ptr<transport::HttpServer> server) : server_(std::move(server)) {}
  std::unique_ptr<transport::HttpServer> server_;
};

}  // namespace cloister::coordinator
