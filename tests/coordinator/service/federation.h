#pragma once
// SPDX-License-Identifier: Apache-2.0
// A coordinator on loopback with real certificates, and sites that talk to it over gRPC: long polls, blob streams,
// submits. The sites' protocol and toy training are the simulation's.

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/service/coordinator.h"
#include "protocols/crypto/pki.h"
#include "protocols/storage/blob_store.h"
#include "protocols/transport/blob_client.h"
#include "protocols/transport/channel.h"
#include "tests/sim/sim_plan.h"
#include "tests/sim/sim_site.h"
#include "tests/support/temp_dir.h"

namespace cloister::coordinator {

// Makes identity folders (protocols/transport/identity.h) under one CA.
class IdentityMaker {
 public:
  explicit IdentityMaker(std::filesystem::path root, const std::string& ca_name = "Test consortium");

  // The folder of `id`. Certificates are valid for `validity_days` from `start` (relative to now) on.
  std::filesystem::path Make(const std::string& id, crypto::Role role, int validity_days = 300,
                             absl::Duration start = -absl::Hours(1)) const;
  const crypto::Certificate& ca() const { return ca_.certificate; }

 private:
  const std::filesystem::path root_;
  const crypto::CertificateAuthority ca_;
};

CoordinatorConfig TestConfig(const std::filesystem::path& data, const std::filesystem::path& certificates,
                             int port = 0);

std::shared_ptr<transport::CoordinatorChannel> Dial(const std::filesystem::path& certificates, crypto::Role role,
                                                    int port, const Clock* clock);

// One site: a thread that pulls, works and submits until Stop() or the experiment is closed for it.
class RemoteSite {
 public:
  RemoteSite(int number, std::filesystem::path certificates, std::filesystem::path folder,
             const crypto::Certificate& ca);
  ~RemoteSite() { Stop(); }

  void Start(int port);
  void Stop();
  // Waits until it has answered everything and the experiment is closed.
  void Join();
  const SiteId& id() const { return site_.id(); }
  std::atomic<int> polls{0};
  // Optional, set before Start(): called after each message of a sum that the coordinator has taken, on the site's
  // thread.
  std::function<void(const wire::SumMessage&)> on_sum_message;

 private:
  void Run(int port);
  absl::Status Work(const wire::WorkItem& item, transport::BlobClient& blobs, transport::CoordinatorChannel& channel);

  const std::filesystem::path certificates_;
  const SystemClock clock_;
  sim::SimSite site_;
  storage::BlobStore store_;
  std::map<Digest, bool> uploaded_;
  transport::StopSource stop_;
  std::thread thread_;
};

// A signed plan of the simulation's toy experiment over `initial_model`.
wire::SignedDocument SignedPlan(const plan::Experiment& experiment, const std::filesystem::path& operator_certificates);

}  // namespace cloister::coordinator
