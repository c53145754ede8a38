#pragma once
// SPDX-License-Identifier: Apache-2.0
// What every federation of a benchmark has: identities under one CA, the real coordinator in a process of its own, and
// the operator who launches an experiment that trains nothing.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "protocols/base/clock.h"
#include "protocols/crypto/pki.h"
#include "protocols/crypto/signer.h"
#include "protocols/transport/channel.h"
#include "protocols/wire/operator_messages.h"
#include "tests/bench/child_process.h"

namespace cloister::bench {

// Identity folders (protocols/transport/identity.h) under one CA. Nothing is synced to the disk: there may be a
// thousand.
class Identities {
 public:
  explicit Identities(std::filesystem::path root);

  absl::StatusOr<std::filesystem::path> Make(const std::string& id, crypto::Role role) const;
  const crypto::Certificate& ca() const { return ca_.certificate; }

 private:
  std::filesystem::path root_;
  crypto::CertificateAuthority ca_;
};

// "site-0007"
std::string SiteName(int number);

// The main function of the coordinator's process: tells its port and serves until SIGTERM.
int ServeCoordinator(ChildProcess& self, const std::filesystem::path& data, const std::filesystem::path& certificates);

std::shared_ptr<transport::CoordinatorChannel> Dial(const std::filesystem::path& certificates, crypto::Role role,
                                                    int port, const Clock* clock);

struct Study {
  int sites = 4;  // all of them are invited by name
  int minimum = 3;
  uint64_t parameters = 0;  // of the model
  int rounds = 1;
};

class Operator {
 public:
  static absl::StatusOr<Operator> Create(const std::filesystem::path& certificates, int port, const Clock* clock);

  // Uploads the initial model and launches the experiment; returns its job.
  absl::StatusOr<std::string> Submit(const Study& study);
  // Until `see` says enough. FAILED_PRECONDITION: the experiment has ended before.
  absl::Status Watch(const std::string& job, const std::function<bool(int64_t time_ms, const std::string& text)>& see);

 private:
  Operator(std::shared_ptr<transport::CoordinatorChannel> channel, crypto::Signer signer)
      : channel_(std::move(channel)), signer_(std::move(signer)) {}

  std::shared_ptr<transport::CoordinatorChannel> channel_;
  crypto::Signer signer_;
};

}  // namespace cloister::bench
