// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/coordinator.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <chrono>

#include "eval/federated/site_summary.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/storage/audit_log.h"
#include "protocols/transport/identity.h"
#include "protocols/update/model_state.h"
#include "protocols/wire/codec.h"
#include "tests/coordinator/service/federation.h"

namespace cloister::coordinator {
namespace {

using ::testing::HasSubstr;

class CoordinatorTest : public ::testing::Test {
 protected:
  CoordinatorTest() : identities_(folder_.path() / "pki") {
    coordinator_certificates_ = identities_.Make("coordinator", crypto::Role::kCoordinator);
    operator_certificates_ = identities_.Make("li", crypto::Role::kOperator);
  }

  void StartCoordinator(int port = 0) {
    auto started = Coordinator::Start(TestConfig(folder_.path() / "data", coordinator_certificates_, port), &clock_);
    ASSERT_TRUE(started.ok()) << started.status();
    coordinator_ = *std::move(started);
    operator_channel_ = Dial(operator_certificates_, crypto::Role::kOperator, coordinator_->port(), &clock_);
  }

  void AddSites(int n) {
    for (int i = 1; i <= n; ++i) {
      const std::string id = "site-0" + std::to_string(i);
      sites_.push_back(std::make_unique<RemoteSite>(i, identities_.Make(id, crypto::Role::kSite),
                                                    folder_.path() / ("store-" + id), identities_.ca()));
    }
  }

  // Uploads the toy model and submits the toy experiment.
  absl::StatusOr<std::string> Submit(int rounds = 2) {
    const sim::ToyModel model = sim::MakeToyModel();
    const Bytes file = update::EncodeModelState(model.layout, model.values).value();
    const Digest digest = crypto::Sha256(file);
    transport::BlobClient blobs(operator_channel_);
    const auto source = transport::MemorySource(file);
    CLOISTER_RETURN_IF_ERROR(
        blobs.Upload({digest, file.size(), wire::BlobPurpose::kInitialModel, {}}, source.get(), stop_));
    sim::PlanOptions options;
    options.rounds = rounds;
    plan::Experiment experiment = sim::MakePlan(options, digest);
    experiment.sites.invited = {"site-01", "site-02", "site-03", "site-04"};
    return SubmitPlan(SignedPlan(experiment, operator_certificates_));
  }

  absl::StatusOr<std::string> SubmitPlan(const wire::SignedDocument& plan) {
    grpc::ClientContext context;
    wire::v1::SubmitExperimentRequest request;
    *request.mutable_plan() = wire::Encode(plan);
    wire::v1::SubmitExperimentReply reply;
    CLOISTER_RETURN_IF_ERROR(operator_channel_->Explain(
        wire::v1::Operation::NewStub(operator_channel_->Dial().value())->SubmitExperiment(&context, request, &reply)));
    return reply.job_id();
  }

  absl::StatusOr<wire::ExperimentStatus> Get(const std::string& job) {
    grpc::ClientContext context;
    wire::v1::GetExperimentRequest request;
    request.set_job_id(job);
    wire::v1::ExperimentStatus reply;
    CLOISTER_RETURN_IF_ERROR(operator_channel_->Explain(
        wire::v1::Operation::NewStub(operator_channel_->Dial().value())->GetExperiment(&context, request, &reply)));
    return wire::Decode(reply);
  }

  // The events until the experiment has ended.
  std::vector<std::string> Watch(const std::string& job) {
    grpc::ClientContext context;
    wire::v1::WatchExperimentRequest request;
    request.set_job_id(job);
    auto stream = wire::v1::Operation::NewStub(operator_channel_->Dial().value())->WatchExperiment(&context, request);
    std::vector<std::string> texts;
    wire::v1::ExperimentEvent event;
    while (stream->Read(&event)) {
      EXPECT_EQ(event.sequence(), texts.size() + 1);
      texts.push_back(event.text());
    }
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return texts;
  }

  ::cloister::testing::TempDir folder_;
  const SystemClock clock_;
  IdentityMaker identities_;
  std::filesystem::path coordinator_certificates_;
  std::filesystem::path operator_certificates_;
  std::unique_ptr<Coordinator> coordinator_;
  std::shared_ptr<transport::CoordinatorChannel> operator_channel_;
  std::vector<std::unique_ptr<RemoteSite>> sites_;
  transport::StopSource stop_;
};

TEST_F(CoordinatorTest, FourSitesTrainValidateAndReleaseOverMutualTls) {
  StartCoordinator();
  AddSites(4);
  for (const auto& site : sites_) {
    site->Start(coordinator_->port());
  }
  const auto job = Submit();
  ASSERT_TRUE(job.ok()) << job.status();
  const std::vector<std::string> events = Watch(*job);
  for (const auto& site : sites_) {
    site->Join();
  }
  const auto status = Get(*job);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->phase, wire::ExperimentPhase::kReleased) << status->message;
  EXPECT_THAT(events.front(), "submitted by li, signed by li");
  EXPECT_THAT(events, ::testing::Contains(HasSubstr("training round 2 done: 4 of 4 sites")));
  ASSERT_TRUE(status->release);

  // The release: signed by the coordinator, verified by all.
  grpc::ClientContext context;
  wire::v1::GetReleaseRequest request;
  request.set_release_id(status->release->value());
  wire::v1::ReleaseStatus reply;
  ASSERT_TRUE(
      wire::v1::Operation::NewStub(operator_channel_->Dial().value())->GetRelease(&context, request, &reply).ok());
  const wire::ReleaseStatus release = wire::Decode(reply).value();
  EXPECT_TRUE(crypto::VerifySignature(release.manifest.certificate, identities_.ca(), plan::kReleaseDomain,
                                      release.manifest.document, release.manifest.signature, crypto::Role::kCoordinator,
                                      absl::Now())
                  .ok());
  const plan::ReleaseManifest manifest = plan::ParseRelease(release.manifest.document).value();
  EXPECT_EQ(manifest.version, "1.0.0.1");
  EXPECT_EQ(manifest.members.size(), 2);
  EXPECT_EQ(manifest.members[0].model, *status->model);
  EXPECT_EQ(manifest.results.size(), 4) << "what each site said of the member";
  for (const plan::SiteResult& result : manifest.results) {
    EXPECT_EQ(result.model_id, manifest.members[0].id);
    EXPECT_TRUE(eval::ParseSummary(result.summary).ok());
  }
  EXPECT_THAT(manifest.device_uid, ::testing::MatchesRegex("2\\.25\\.[1-9][0-9]+"));
  for (const wire::SiteReleaseState& site : release.sites) {
    EXPECT_EQ(site.state, wire::ReleaseState::kVerified);
  }
  // Long polls, not a busy loop.
  EXPECT_LT(sites_[0]->polls, 100);
}

TEST_F(CoordinatorTest, RestartsAtAnyMomentAndMakesTheSameModel) {
  Digest undisturbed;
  {
    StartCoordinator();
    AddSites(4);
    for (const auto& site : sites_) {
      site->Start(coordinator_->port());
    }
    const auto job = Submit();
    ASSERT_TRUE(job.ok()) << job.status();
    Watch(*job);
    undisturbed = *Get(*job)->model;
    sites_.clear();
    coordinator_.reset();
    std::filesystem::remove_all(folder_.path() / "data");
  }
  StartCoordinator();
  const int port = coordinator_->port();
  AddSites(4);
  for (const auto& site : sites_) {
    site->Start(port);
  }
  const auto job = Submit();
  ASSERT_TRUE(job.ok()) << job.status();
  absl::StatusOr<wire::ExperimentStatus> status = Get(*job);
  for (int restart = 0; restart < 12 && status.ok() && !wire::HasEnded(status->phase); ++restart) {
    std::this_thread::sleep_for(std::chrono::milliseconds(25 * restart));
    coordinator_.reset();
    StartCoordinator(port);
    status = Get(*job);
  }
  for (const auto& site : sites_) {
    site->Join();
  }
  status = Get(*job);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->phase, wire::ExperimentPhase::kReleased) << status->message;
  EXPECT_EQ(status->model->hex(), undisturbed.hex());
}

TEST_F(CoordinatorTest, EveryWaitingPollIsAnsweredThoughOnlyAFewAnswersLeaveAtOnce) {
  StartCoordinator();
  const auto channel =
      Dial(identities_.Make("site-01", crypto::Role::kSite), crypto::Role::kSite, coordinator_->port(), &clock_);
  struct Poll {
    grpc::ClientContext context;
    wire::v1::PullWorkReply reply;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<wire::v1::PullWorkReply>> reader;
  };
  std::vector<Poll> polls(3 * WorkBoard::kAnswersAtOnce);
  grpc::CompletionQueue queue;
  const auto stub = wire::v1::Federation::NewStub(channel->Dial().value());
  for (Poll& poll : polls) {
    const wire::v1::PullWorkRequest request = wire::Encode(wire::PullRequest{WorkVersion({}), 60'000, "test-1"});
    poll.reader = stub->AsyncPullWork(&poll.context, request, &queue);
    poll.reader->Finish(&poll.reply, &poll.status, &poll);
  }
  const auto job = Submit();
  ASSERT_TRUE(job.ok()) << job.status();
  for (size_t i = 0; i < polls.size(); ++i) {
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
    const Poll& poll = *static_cast<Poll*>(tag);
    EXPECT_TRUE(poll.status.ok()) << poll.status.error_message();
    ASSERT_EQ(poll.reply.items_size(), 1);
    EXPECT_EQ(poll.reply.items(0).offer().job_id(), *job);
  }
}

TEST_F(CoordinatorTest, RolesAreKeptApart) {
  StartCoordinator();
  const auto site_certificates = identities_.Make("site-01", crypto::Role::kSite);
  const auto site_channel = Dial(site_certificates, crypto::Role::kSite, coordinator_->port(), &clock_);
  const auto stranger =
      IdentityMaker(folder_.path() / "foreign", "Another consortium").Make("site-02", crypto::Role::kSite);
  const auto job = Submit();
  ASSERT_TRUE(job.ok()) << job.status();

  {  // An operator is no site.
    grpc::ClientContext context;
    wire::v1::PullWorkReply reply;
    EXPECT_EQ(wire::v1::Federation::NewStub(operator_channel_->Dial().value())
                  ->PullWork(&context, wire::v1::PullWorkRequest(), &reply)
                  .error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
  }
  {  // A site is no operator.
    grpc::ClientContext context;
    wire::v1::ListExperimentsReply reply;
    EXPECT_EQ(wire::v1::Operation::NewStub(site_channel->Dial().value())
                  ->ListExperiments(&context, wire::v1::ListExperimentsRequest(), &reply)
                  .error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
  }
  {  // A site of another consortium is nobody.
    grpc::ClientContext context;
    wire::v1::PullWorkReply reply;
    transport::TlsFiles files = {site_certificates / "ca.pem", stranger / "tls.pem", stranger / "tls.key"};
    const auto channel =
        grpc::CreateChannel("localhost:" + std::to_string(coordinator_->port()), transport::ClientTls(files).value());
    EXPECT_FALSE(wire::v1::Federation::NewStub(channel)->PullWork(&context, wire::v1::PullWorkRequest(), &reply).ok());
  }
  transport::BlobClient blobs(site_channel);
  const auto source = transport::MemorySource("abcd");
  const Digest digest = crypto::Sha256("abcd");
  const JobId id = JobId::Parse(*job).value();
  // A site sends no initial model, no masked vector nobody asked for, and reads no model before it takes part.
  EXPECT_EQ(blobs.Upload({digest, 4, wire::BlobPurpose::kInitialModel, {}}, source.get(), stop_).code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(blobs.Upload({digest, 4, wire::BlobPurpose::kMaskedVector, id}, source.get(), stop_).code(),
            absl::StatusCode::kPermissionDenied);
  auto store = storage::BlobStore::Open(folder_.path() / "thief").value();
  EXPECT_EQ(blobs.Download(*Get(*job)->model, 1 << 20, &store, stop_).code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(CoordinatorTest, OnlyASignedPlanWithItsModelIsAdmitted) {
  StartCoordinator();
  const plan::Experiment experiment = sim::MakePlan({}, crypto::Sha256("no such model"));
  const wire::SignedDocument plan = SignedPlan(experiment, operator_certificates_);
  EXPECT_EQ(SubmitPlan(plan).status().code(), absl::StatusCode::kFailedPrecondition);

  wire::SignedDocument altered = plan;
  altered.document[altered.document.size() / 2] ^= 1;
  EXPECT_EQ(SubmitPlan(altered).status().code(), absl::StatusCode::kUnauthenticated);

  wire::SignedDocument by_site = plan;
  const crypto::Signer site =
      transport::LoadSigner(identities_.Make("site-09", crypto::Role::kSite), crypto::Role::kSite, absl::Now()).value();
  by_site.signature = site.Sign(plan::kPlanDomain, by_site.document);
  by_site.certificate = site.certificate().der();
  EXPECT_EQ(SubmitPlan(by_site).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(CoordinatorTest, TheSamePlanIsSubmittedOnceAndCanBeAborted) {
  StartCoordinator();
  const auto first = Submit();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*Submit(), *first);
  grpc::ClientContext context;
  wire::v1::AbortExperimentRequest request;
  request.set_job_id(*first);
  request.set_reason("a test");
  wire::v1::ExperimentStatus reply;
  ASSERT_TRUE(
      wire::v1::Operation::NewStub(operator_channel_->Dial().value())->AbortExperiment(&context, request, &reply).ok());
  EXPECT_EQ(reply.message(), "a test (li)");
  EXPECT_EQ(*Submit(), *first + "-2");
  EXPECT_EQ(Get("no-such-job").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CoordinatorTest, SaysWhatASumTakesOfTheDisk) {
  StartCoordinator();
  const auto job = Submit();
  ASSERT_TRUE(job.ok()) << job.status();
  grpc::ClientContext context;
  wire::v1::AbortExperimentRequest request;
  request.set_job_id(*job);
  wire::v1::ExperimentStatus reply;
  ASSERT_TRUE(
      wire::v1::Operation::NewStub(operator_channel_->Dial().value())->AbortExperiment(&context, request, &reply).ok());
  EXPECT_THAT(Watch(*job), ::testing::Contains(HasSubstr("a sum over 4 sites takes up to 0.0 GB of disk")));
}

TEST_F(CoordinatorTest, TheAuditLogIsWhole) {
  StartCoordinator();
  ASSERT_TRUE(Submit().ok());
  coordinator_.reset();
  auto database = storage::Database::Open(folder_.path() / "data" / "coordinator.db").value();
  const auto log = storage::AuditLog::Create(&database).value();
  EXPECT_FALSE(log.Verify().value().has_value());
  EXPECT_EQ(log.ReadLast(1).value().at(0).event.action, "submit");
}

// ---- what can be wrong before it serves: one clear line each ----

TEST_F(CoordinatorTest, SaysWhatIsWrongWithCertificates) {
  const auto start = [&](const std::filesystem::path& certificates) {
    return Coordinator::Start(TestConfig(folder_.path() / "data", certificates), &clock_).status();
  };
  EXPECT_EQ(start(folder_.path() / "nothing").code(), absl::StatusCode::kNotFound);
  const absl::Status expired = start(identities_.Make("old", crypto::Role::kCoordinator, 1, -absl::Hours(48)));
  EXPECT_EQ(expired.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(expired.message()), HasSubstr("expired"));
  const absl::Status role = start(identities_.Make("site-01", crypto::Role::kSite));
  EXPECT_EQ(role.code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(CoordinatorTest, SaysWhenThePortOrTheDataFolderIsTaken) {
  StartCoordinator();
  const absl::Status same_data =
      Coordinator::Start(TestConfig(folder_.path() / "data", coordinator_certificates_), &clock_).status();
  EXPECT_EQ(same_data.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(same_data.message()), HasSubstr("stop it first"));
  const absl::Status same_port =
      Coordinator::Start(TestConfig(folder_.path() / "other", coordinator_certificates_, coordinator_->port()), &clock_)
          .status();
  EXPECT_EQ(same_port.code(), absl::StatusCode::kFailedPrecondition) << same_port;
}

}  // namespace
}  // namespace cloister::coordinator
