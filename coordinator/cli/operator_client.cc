// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/operator_client.h"

#include "protocols/transport/identity.h"
#include "protocols/wire/codec.h"

namespace cloister::coordinator {
namespace {

namespace v1 = wire::v1;

constexpr absl::Duration kCallTimeout = absl::Seconds(30);
constexpr absl::Duration kUploadPatience = absl::Minutes(1);

// One unary call: Call(channel, &v1::Operation::Stub::GetExperiment, request) -> reply.
template <typename Request, typename Reply>
absl::StatusOr<Reply> Call(transport::CoordinatorChannel* channel,
                           grpc::Status (v1::Operation::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                           const Request& request) {
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> connection, channel->Dial());
  const auto stub = v1::Operation::NewStub(connection);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTimeout));
  Reply reply;
  CLOISTER_RETURN_IF_ERROR(channel->Explain((stub.get()->*method)(&context, request, &reply)));
  return reply;
}

template <typename Value, typename Messages>
absl::StatusOr<std::vector<Value>> DecodeAll(const Messages& messages) {
  std::vector<Value> values;
  for (const auto& message : messages) {
    CLOISTER_ASSIGN_OR_RETURN(Value value, wire::Decode(message));
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace

absl::StatusOr<OperatorClient> OperatorClient::Create(const OperatorConfig& config, const Clock* clock) {
  transport::ChannelOptions options;
  options.target = config.coordinator;
  options.tls = transport::TlsFilesOf(config.certificates);
  options.role = crypto::Role::kOperator;
  options.renew_command = "cloister enroll, then cloister ca approve";
  CLOISTER_ASSIGN_OR_RETURN(auto channel, transport::CoordinatorChannel::Create(std::move(options), clock));
  return OperatorClient(std::move(channel));
}

absl::Status OperatorClient::UploadInitialModel(const Digest& digest, const Bytes& model) {
  transport::TransferOptions options;
  options.give_up_after = kUploadPatience;
  const auto source = transport::MemorySource(model);
  const wire::BlobHeader header{digest, model.size(), wire::BlobPurpose::kInitialModel, {}};
  return transport::BlobClient(channel_, options).Upload(header, source.get(), transport::StopSource());
}

absl::StatusOr<JobId> OperatorClient::SubmitExperiment(const wire::SignedDocument& plan) {
  v1::SubmitExperimentRequest request;
  *request.mutable_plan() = wire::Encode(plan);
  CLOISTER_ASSIGN_OR_RETURN(const v1::SubmitExperimentReply reply,
                            Call(channel_.get(), &v1::Operation::Stub::SubmitExperiment, request));
  return JobId::Parse(reply.job_id());
}

absl::StatusOr<wire::ExperimentStatus> OperatorClient::AbortExperiment(const JobId& job, const std::string& reason) {
  v1::AbortExperimentRequest request;
  request.set_job_id(job.value());
  request.set_reason(reason);
  CLOISTER_ASSIGN_OR_RETURN(const v1::ExperimentStatus reply,
                            Call(channel_.get(), &v1::Operation::Stub::AbortExperiment, request));
  return wire::Decode(reply);
}

absl::StatusOr<std::vector<wire::ExperimentStatus>> OperatorClient::ListExperiments() {
  CLOISTER_ASSIGN_OR_RETURN(const v1::ListExperimentsReply reply,
                            Call(channel_.get(), &v1::Operation::Stub::ListExperiments, v1::ListExperimentsRequest()));
  return DecodeAll<wire::ExperimentStatus>(reply.experiments());
}

absl::StatusOr<wire::ExperimentStatus> OperatorClient::GetExperiment(const JobId& job) {
  v1::GetExperimentRequest request;
  request.set_job_id(job.value());
  CLOISTER_ASSIGN_OR_RETURN(const v1::ExperimentStatus reply,
                            Call(channel_.get(), &v1::Operation::Stub::GetExperiment, request));
  return wire::Decode(reply);
}

absl::Status OperatorClient::WatchExperiment(const JobId& job, uint64_t after,
                                             const std::function<void(const wire::ExperimentEvent&)>& on_event) {
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> connection, channel_->Dial());
  v1::WatchExperimentRequest request;
  request.set_job_id(job.value());
  request.set_after_sequence(after);
  grpc::ClientContext context;  // no deadline: it lasts as long as the experiment; keepalive notices a dead connection
  const auto reader = v1::Operation::NewStub(connection)->WatchExperiment(&context, request);
  v1::ExperimentEvent message;
  while (reader->Read(&message)) {
    const auto event = wire::Decode(message);
    if (!event.ok()) {
      context.TryCancel();
      reader->Finish();
      return event.status();
    }
    on_event(*event);
  }
  return channel_->Explain(reader->Finish());
}

absl::StatusOr<std::vector<wire::ReleaseStatus>> OperatorClient::ListReleases() {
  CLOISTER_ASSIGN_OR_RETURN(const v1::ListReleasesReply reply,
                            Call(channel_.get(), &v1::Operation::Stub::ListReleases, v1::ListReleasesRequest()));
  return DecodeAll<wire::ReleaseStatus>(reply.releases());
}

absl::StatusOr<wire::ReleaseStatus> OperatorClient::GetRelease(const ReleaseId& release) {
  v1::GetReleaseRequest request;
  request.set_release_id(release.value());
  CLOISTER_ASSIGN_OR_RETURN(const v1::ReleaseStatus reply,
                            Call(channel_.get(), &v1::Operation::Stub::GetRelease, request));
  return wire::Decode(reply);
}

absl::StatusOr<std::vector<wire::SiteStatus>> OperatorClient::ListSites() {
  CLOISTER_ASSIGN_OR_RETURN(const v1::ListSitesReply reply,
                            Call(channel_.get(), &v1::Operation::Stub::ListSites, v1::ListSitesRequest()));
  return DecodeAll<wire::SiteStatus>(reply.sites());
}

}  // namespace cloister::coordinator
