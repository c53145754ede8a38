// SPDX-License-Identifier: Apache-2.0
#include "site_agent/link/grpc_coordinator_link.h"

#include "protocols/transport/grpc_status.h"
#include "protocols/wire/codec.h"
#include "protocols/wire/names.h"

namespace cloister::site {
namespace {

namespace v1 = wire::v1;

// A server that restarts or is slow for a moment; anything else is an answer.
bool IsWorthRetrying(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// A disk or database of the coordinator that is not well: no verdict on what was sent.
bool IsTroubleOfTheCoordinator(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsInternal(status) || absl::IsUnknown(status);
}

}  // namespace

GrpcCoordinatorLink::GrpcCoordinatorLink(std::shared_ptr<transport::CoordinatorChannel> channel, Options options)
    : channel_(channel), options_(options), blobs_(channel, options.transfer) {}

absl::StatusOr<wire::Work> GrpcCoordinatorLink::PullWork(uint64_t known_version, absl::Duration wait,
                                                         const transport::StopSource& stop) {
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> connection, channel_->Dial());
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + wait + options_.call_timeout));
  const auto on_stop = stop.OnStop([&context] { context.TryCancel(); });
  const auto wait_ms = static_cast<uint32_t>(absl::ToInt64Milliseconds(wait));
  v1::PullWorkReply reply;
  const grpc::Status status =
      v1::Federation::NewStub(connection)
          ->PullWork(&context, wire::Encode(wire::PullRequest{known_version, wait_ms, options_.agent_version}), &reply);
  if (stop.stopped()) {
    return absl::CancelledError("stopped");
  }
  CLOISTER_RETURN_IF_ERROR(channel_->Explain(status));
  auto work = wire::Decode(reply);
  return work.ok() ? std::move(work)
                   : absl::StatusOr<wire::Work>(Annotate(work.status(), "the coordinator's list of work"));
}

absl::Status GrpcCoordinatorLink::Submit(const wire::SiteMessage& message, const transport::StopSource& stop) {
  const v1::SiteMessage request = wire::Encode(message);
  transport::Backoff backoff(options_.transfer.backoff);
  for (;;) {
    const auto connection = channel_->Dial();
    absl::Status status = connection.status();
    if (connection.ok()) {
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(absl::Now() + options_.call_timeout));
      const auto on_stop = stop.OnStop([&context] { context.TryCancel(); });
      v1::SubmitReply reply;
      status = channel_->Explain(v1::Federation::NewStub(*connection)->Submit(&context, request, &reply));
    }
    if (status.ok()) {
      return status;
    }
    if (stop.stopped()) {
      return absl::CancelledError("stopped");
    }
    if (!IsWorthRetrying(status)) {
      return Annotate(status, std::string(wire::NameOf(message)));
    }
    if (stop.WaitFor(backoff.Next())) {
      return absl::CancelledError("stopped");
    }
  }
}

absl::Status GrpcCoordinatorLink::Upload(const wire::BlobHeader& header, const std::filesystem::path& file,
                                         const transport::StopSource& stop) {
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<transport::BlobSource> source, transport::OpenFileSource(file));
  transport::Backoff backoff(options_.transfer.backoff);
  for (;;) {
    const absl::Status status = blobs_.Upload(header, source.get(), stop);
    if (!IsTroubleOfTheCoordinator(status)) {
      return status;
    }
    if (stop.WaitFor(backoff.Next())) {
      return absl::CancelledError("stopped");
    }
  }
}

absl::Status GrpcCoordinatorLink::Download(const Digest& digest, uint64_t most_bytes, storage::BlobStore* store,
                                           const transport::StopSource& stop) {
  return blobs_.Download(digest, most_bytes, store, stop);
}

}  // namespace cloister::site
