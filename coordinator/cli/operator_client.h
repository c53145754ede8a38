#pragma once
// SPDX-License-Identifier: Apache-2.0
// The coordinator as an operator sees it: every call of the Operation service with decoded replies. Blocks; not
// thread-safe.

#include <functional>
#include <memory>
#include <vector>

#include "coordinator/cli/operator_config.h"
#include "protocols/base/clock.h"
#include "protocols/transport/blob_client.h"
#include "protocols/transport/channel.h"
#include "protocols/wire/operator_messages.h"

namespace cloister::coordinator {

class OperatorClient {
 public:
  // Codes of transport::CoordinatorChannel::Create. Nothing is dialled yet.
  static absl::StatusOr<OperatorClient> Create(const OperatorConfig& config, const Clock* clock);

  // What the coordinator answers, or UNAVAILABLE, UNAUTHENTICATED with a line for people.
  absl::Status UploadInitialModel(const Digest& digest, const Bytes& model);
  absl::StatusOr<JobId> SubmitExperiment(const wire::SignedDocument& plan);
  absl::StatusOr<wire::ExperimentStatus> AbortExperiment(const JobId& job, const std::string& reason);
  absl::StatusOr<std::vector<wire::ExperimentStatus>> ListExperiments();
  absl::StatusOr<wire::ExperimentStatus> GetExperiment(const JobId& job);
  // Events after `after` as they come; OK when the experiment has ended.
  absl::Status WatchExperiment(const JobId& job, uint64_t after,
                               const std::function<void(const wire::ExperimentEvent&)>& on_event);
  absl::StatusOr<std::vector<wire::ReleaseStatus>> ListReleases();
  absl::StatusOr<wire::ReleaseStatus> GetRelease(const ReleaseId& release);
  absl::StatusOr<std::vector<wire::SiteStatus>> ListSites();

 private:
  explicit OperatorClient(std::shared_ptr<transport::CoordinatorChannel> channel) : channel_(std::move(channel)) {}

  std::shared_ptr<transport::CoordinatorChannel> channel_;
};

}  // namespace cloister::coordinator
