// SPDX-License-Identifier: Apache-2.0
#include "tests/coordinator/service/federation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/plan/documents.h"
#include "protocols/transport/identity.h"
#include "protocols/wire/codec.h"

namespace cloister::coordinator {

IdentityMaker::IdentityMaker(std::filesystem::path root, const std::string& ca_name)
    : root_(std::move(root)),
      ca_(crypto::CreateAuthority(ca_name, absl::Now() - absl::Hours(24 * 400), absl::Hours(24 * 4000)).value()) {}

std::filesystem::path IdentityMaker::Make(const std::string& id, crypto::Role role, int validity_days,
                                          absl::Duration start) const {
  const std::filesystem::path folder = root_ / (id + "-" + std::string(crypto::RoleName(role)));
  EXPECT_TRUE(MakeDirectories(folder).ok());
  const std::filesystem::path request_file = transport::RequestIdentity(folder, id, role).value();
  const transport::IdentityRequest request = transport::ReadIdentityRequest(ReadFile(request_file).value()).value();
  crypto::IssueOptions options;
  options.not_before = absl::Now() + start;
  options.validity_days = validity_days;
  const transport::IdentityCertificates certificates{
      crypto::IssueCertificate(ca_, request.tls_pem, options).value(),
      crypto::IssueCertificate(ca_, request.signing_pem, options).value(), ca_.certificate};
  const absl::Time while_valid = options.not_before + absl::Hours(1);
  const auto installed =
      transport::InstallIdentity(folder, transport::JoinCertificates(certificates), std::min(absl::Now(), while_valid));
  EXPECT_TRUE(installed.ok()) << installed.status();
  return folder;
}

CoordinatorConfig TestConfig(const std::filesystem::path& data, const std::filesystem::path& certificates, int port) {
  CoordinatorConfig config;
  config.listen = fmt::format("127.0.0.1:{}", port);
  config.data = data;
  config.certificates = certificates;
  config.most_model_bytes = 1 << 20;
  config.log_level = "warning";
  return config;
}

std::shared_ptr<transport::CoordinatorChannel> Dial(const std::filesystem::path& certificates, crypto::Role role,
                                                    int port, const Clock* clock) {
  transport::ChannelOptions options;
  options.target = fmt::format("127.0.0.1:{}", port);
  options.tls = transport::TlsFilesOf(certificates);
  options.role = role;
  options.use_proxy = false;
  return transport::CoordinatorChannel::Create(options, clock).value();
}

RemoteSite::RemoteSite(int number, std::filesystem::path certificates, std::filesystem::path folder,
                       const crypto::Certificate& ca)
    : certificates_(std::move(certificates)),
      site_(number, transport::LoadSigner(certificates_, crypto::Role::kSite, absl::Now()).value(), ca, absl::Now()),
      store_(storage::BlobStore::Open(folder).value()) {}

void RemoteSite::Start(int port) {
  stop_ = transport::StopSource();
  thread_ = std::thread([this, port] { Run(port); });
}

void RemoteSite::Stop() {
  stop_.Stop();
  Join();
}

void RemoteSite::Join() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

void RemoteSite::Run(int port) {
  const auto channel = Dial(certificates_, crypto::Role::kSite, port, &clock_);
  transport::BlobClient blobs(channel);
  uint64_t version = 0;
  while (!stop_.stopped()) {
    wire::v1::PullWorkRequest request = wire::Encode(wire::PullRequest{version, 20'000, "test-1"});
    wire::v1::PullWorkReply reply;
    grpc::ClientContext context;
    const auto cancel = stop_.OnStop([&context] { context.TryCancel(); });
    const auto dialled = channel->Dial();
    const grpc::Status called = dialled.ok()
                                    ? wire::v1::Federation::NewStub(*dialled)->PullWork(&context, request, &reply)
                                    : grpc::Status::CANCELLED;
    ++polls;
    if (!called.ok()) {
      stop_.WaitFor(absl::Milliseconds(50));
      continue;
    }
    const wire::Work work = wire::Decode(reply).value();
    version = work.version;
    for (const wire::WorkItem& item : work.items) {
      if (std::holds_alternative<wire::ExperimentClosed>(item)) {
        return;
      }
      const absl::Status status = Work(item, blobs, *channel);
      if (!status.ok()) {
        Log()->info("{}: {}", id().value(), std::string(status.message()));
        version = 0;  // look again
        stop_.WaitFor(absl::Milliseconds(50));
      }
    }
  }
}

absl::Status RemoteSite::Work(const wire::WorkItem& item, transport::BlobClient& blobs,
                              transport::CoordinatorChannel& channel) {
  JobId job;
  if (const auto* step = std::get_if<wire::SumStep>(&item)) {
    job = step->job;
    for (const wire::ModelRef& model : step->models) {
      CLOISTER_RETURN_IF_ERROR(blobs.Download(model.blob, 1 << 20, &store_, stop_));
      std::vector<wire::SumOrigin> origins = model.refused;
      if (model.made_by.has_value()) {
        origins.push_back(*model.made_by);
      }
      for (const wire::SumOrigin& origin : origins) {  // to check it
        CLOISTER_RETURN_IF_ERROR(blobs.Download(origin.parent, 1 << 20, &store_, stop_));
        CLOISTER_RETURN_IF_ERROR(blobs.Download(origin.result, 1 << 20, &store_, stop_));
      }
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<wire::SiteMessage> messages, site_.Work(item, store_));
  for (const wire::SiteMessage& message : messages) {
    std::vector<std::pair<Digest, wire::BlobPurpose>> uploads;
    if (const auto* sum = std::get_if<wire::SumMessage>(&message)) {
      for (const Digest& digest : sum->vectors) {
        uploads.emplace_back(digest, wire::BlobPurpose::kMaskedVector);
      }
    } else if (const auto* baseline = std::get_if<wire::BaselineReady>(&message)) {
      job = baseline->job;
      uploads.emplace_back(*baseline->blob, wire::BlobPurpose::kSealedBaseline);
    }
    for (const auto& [digest, purpose] : uploads) {
      CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<transport::BlobSource> source,
                                transport::OpenFileSource(store_.Path(digest)));
      CLOISTER_RETURN_IF_ERROR(blobs.Upload({digest, source->size_bytes(), purpose, job}, source.get(), stop_));
    }
    grpc::ClientContext context;
    const auto cancel = stop_.OnStop([&context] { context.TryCancel(); });
    wire::v1::SubmitReply reply;
    CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> dialled, channel.Dial());
    CLOISTER_RETURN_IF_ERROR(
        channel.Explain(wire::v1::Federation::NewStub(dialled)->Submit(&context, wire::Encode(message), &reply)));
    if (const auto* sum = std::get_if<wire::SumMessage>(&message); sum != nullptr && on_sum_message) {
      on_sum_message(*sum);
    }
  }
  return absl::OkStatus();
}

wire::SignedDocument SignedPlan(const plan::Experiment& experiment,
                                const std::filesystem::path& operator_certificates) {
  const crypto::Signer signer =
      transport::LoadSigner(operator_certificates, crypto::Role::kOperator, absl::Now()).value();
  wire::SignedDocument plan;
  plan.document = plan::PlanDocument(experiment);
  plan.signature = signer.Sign(plan::kPlanDomain, plan.document);
  plan.certificate = signer.certificate().der();
  return plan;
}

}  // namespace cloister::coordinator
