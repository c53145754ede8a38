#pragma once
// SPDX-License-Identifier: Apache-2.0
// Protobuf messages to the structs of messages.h and back. Only those who speak gRPC include this: protocols/transport,
// coordinator/service, coordinator/cli and site_agent/link. Decode checks everything a peer could get wrong or lie
// about, before anything is stored or copied on: INVALID_ARGUMENT names the field and the numbers. Encode cannot fail:
// its input is valid.

#include "protocols/base/status.h"
#include "protocols/wire/cloister.grpc.pb.h"
#include "protocols/wire/limits.h"
#include "protocols/wire/messages.h"
#include "protocols/wire/operator_messages.h"

namespace cloister::wire {

// ---- work ----
absl::StatusOr<PullRequest> Decode(const v1::PullWorkRequest& message);
absl::StatusOr<Work> Decode(const v1::PullWorkReply& message);
absl::StatusOr<WorkItem> Decode(const v1::WorkItem& message);
absl::StatusOr<SignedDocument> Decode(const v1::SignedDocument& message);
v1::PullWorkRequest Encode(const PullRequest& request);
v1::PullWorkReply Encode(const Work& work);
v1::WorkItem Encode(const WorkItem& item);
v1::SignedDocument Encode(const SignedDocument& document);

// ---- what a site sends ----
absl::StatusOr<SiteMessage> Decode(const v1::SiteMessage& message);
v1::SiteMessage Encode(const SiteMessage& message);

// ---- blobs ----
absl::StatusOr<BlobHeader> Decode(const v1::BlobHeader& message);
absl::StatusOr<BlobStat> Decode(const v1::StatBlobReply& message);
v1::BlobHeader Encode(const BlobHeader& header);
v1::StatBlobReply Encode(const BlobStat& stat);

// ---- operator ----
absl::StatusOr<ExperimentStatus> Decode(const v1::ExperimentStatus& message);
absl::StatusOr<ExperimentEvent> Decode(const v1::ExperimentEvent& message);
absl::StatusOr<ReleaseStatus> Decode(const v1::ReleaseStatus& message);
absl::StatusOr<SiteStatus> Decode(const v1::SiteStatus& message);
v1::ExperimentStatus Encode(const ExperimentStatus& status);
v1::ExperimentEvent Encode(const ExperimentEvent& event);
v1::ReleaseStatus Encode(const ReleaseStatus& status);
v1::SiteStatus Encode(const SiteStatus& status);

}  // namespace cloister::wire
