#pragma once
// SPDX-License-Identifier: Apache-2.0
// The one door out of a hospital. Takes typed messages and two kinds of files, each with a limit that follows from its
// type and from the plan this site accepted, and writes an audit record before the first byte leaves. Nothing else in
// the agent holds a CoordinatorLink's Submit or Upload.

#include <filesystem>
#include <map>
#include <mutex>

#include "protocols/base/clock.h"
#include "protocols/plan/experiment.h"
#include "protocols/storage/audit_log.h"
#include "site_agent/link/coordinator_link.h"

namespace cloister::site {

class EgressGate {
 public:
  // All must outlive this. Thread-safe.
  EgressGate(CoordinatorLink* link, storage::AuditLog* audit, const Clock* clock, SiteId site)
      : link_(link), audit_(audit), clock_(clock), site_(std::move(site)) {}

  // From now on files of this job may leave, in the sizes its plan gives. Before, none may.
  void AllowFiles(const JobId& job, const plan::Experiment& plan);
  void ForgetJob(const JobId& job);

  // PERMISSION_DENIED: larger than its type allows, or a summary that is not in its declared form; nothing is sent.
  // Otherwise as the audit log and CoordinatorLink.
  absl::Status Submit(const wire::SiteMessage& message, const transport::StopSource& stop);
  // PERMISSION_DENIED: a purpose or size that the accepted plan does not have, or another size than the file's.
  absl::Status Upload(const wire::BlobHeader& header, const std::filesystem::path& file,
                      const transport::StopSource& stop);

 private:
  struct FileSizes {
    uint64_t update = 0;         // bytes of the first vector of a training round
    uint64_t most_counters = 0;  // bytes of the largest counters vector
    uint64_t most_baseline = 0;
  };
  absl::Status CheckMessage(const wire::SiteMessage& message, size_t size) const;
  absl::Status CheckFile(const wire::BlobHeader& header, const std::filesystem::path& file) const;
  absl::Status Record(const std::string& subject, const std::string& type, uint64_t size, const Digest& digest,
                      const std::string& detail);

  CoordinatorLink* link_;
  storage::AuditLog* audit_;
  const Clock* clock_;
  SiteId site_;
  mutable std::mutex mutex_;
  std::map<JobId, FileSizes> files_;  // guarded by mutex_
};

}  // namespace cloister::site
