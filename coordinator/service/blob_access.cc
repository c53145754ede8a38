// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/blob_access.h"

#include <fmt/format.h>

#include <algorithm>

namespace cloister::coordinator {
namespace {

// A site commits to one set of vectors; a few more are what crashes at bad moments may leave.
constexpr size_t kTriesPerVector = 4;

absl::Status Denied(const transport::Peer& peer, const std::string& why) {
  return absl::PermissionDeniedError(peer.id + " " + why);
}

}  // namespace

void BlobAccess::Set(const JobId& job, JobBlobRights rights) {
  std::lock_guard lock(mutex_);
  for (const auto& [site, rights_now] : rights.sites) {
    if (rights_now.masked_sizes.empty()) {
      announced_.erase({job, site});
    }
  }
  jobs_[job] = std::move(rights);
}

void BlobAccess::Update(const JobId& job, const std::set<SiteId>& sites, JobBlobRights rights) {
  std::lock_guard lock(mutex_);
  JobBlobRights& known = jobs_[job];
  for (const SiteId& site : sites) {
    const auto now = rights.sites.find(site);
    if (now == rights.sites.end() || now->second.masked_sizes.empty()) {
      announced_.erase({job, site});
    }
    if (now == rights.sites.end()) {
      known.sites.erase(site);
    } else {
      known.sites[site] = std::move(now->second);
    }
  }
  known.models = std::move(rights.models);
}

absl::Status BlobAccess::MayPut(const transport::Peer& peer, const wire::BlobHeader& header) {
  if (header.purpose == wire::BlobPurpose::kInitialModel) {
    CLOISTER_RETURN_IF_ERROR(transport::RequireRole(peer, crypto::Role::kOperator));
    if (header.size_bytes > most_model_bytes_) {
      return absl::InvalidArgumentError(fmt::format("an initial model of {} bytes; this coordinator takes at most {}",
                                                    header.size_bytes, most_model_bytes_));
    }
    return absl::OkStatus();
  }
  CLOISTER_RETURN_IF_ERROR(transport::RequireRole(peer, crypto::Role::kSite));
  CLOISTER_ASSIGN_OR_RETURN(const SiteId site, SiteId::Parse(peer.id));
  std::lock_guard lock(mutex_);
  const auto job = jobs_.find(header.job);
  if (job == jobs_.end()) {
    return Denied(peer, "sends a blob for an experiment that is not running: " + header.job.value());
  }
  const auto rights = job->second.sites.find(site);
  if (rights == job->second.sites.end()) {
    return Denied(peer, "does not take part in " + header.job.value());
  }
  if (header.purpose == wire::BlobPurpose::kSealedBaseline) {
    const uint64_t most = rights->second.baseline_bytes;
    if (most == 0) {
      return Denied(peer, "is not asked for a baseline now");
    }
    return header.size_bytes <= most
               ? absl::OkStatus()
               : absl::InvalidArgumentError(
                     fmt::format("a sealed baseline of {} bytes; the model allows {}", header.size_bytes, most));
  }
  const std::vector<uint64_t>& sizes = rights->second.masked_sizes;
  if (sizes.empty()) {
    return Denied(peer, "is not asked for a masked vector now");
  }
  if (std::find(sizes.begin(), sizes.end(), header.size_bytes) == sizes.end()) {
    return absl::InvalidArgumentError(
        fmt::format("a masked vector of {} bytes; the plan has {}", header.size_bytes, fmt::join(sizes, ", ")));
  }
  DigestSet& announced = announced_[{header.job, site}];
  if (announced.count(header.digest) == 0 && announced.size() >= kTriesPerVector * sizes.size()) {
    return absl::ResourceExhaustedError(
        fmt::format("{} has announced {} different masked vectors for one step", peer.id, announced.size()));
  }
  announced.insert(header.digest);
  return absl::OkStatus();
}

absl::Status BlobAccess::MayGet(const transport::Peer& peer, const Digest& digest) const {
  std::lock_guard lock(mutex_);
  if (peer.role == crypto::Role::kOperator) {
    const bool found = std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& job) {
      return job.second.models != nullptr && job.second.models->count(digest) > 0;
    });
    return found ? absl::OkStatus() : Denied(peer, "asks for a blob that is no global model");
  }
  CLOISTER_RETURN_IF_ERROR(transport::RequireRole(peer, crypto::Role::kSite));
  CLOISTER_ASSIGN_OR_RETURN(const SiteId site, SiteId::Parse(peer.id));
  for (const auto& [job, rights] : jobs_) {
    const auto at_site = rights.sites.find(site);
    if (at_site != rights.sites.end() && at_site->second.readable != nullptr &&
        at_site->second.readable->count(digest) > 0) {
      return absl::OkStatus();
    }
  }
  return Denied(peer, "asks for a blob that it was not offered");
}

}  // namespace cloister::coordinator
