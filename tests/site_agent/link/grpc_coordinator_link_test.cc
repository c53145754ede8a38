// SPDX-License-Identifier: Apache-2.0
// The link against a small coordinator over mutual TLS: long polls, retries, blobs, restarts.
#include "site_agent/link/grpc_coordinator_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/transport/blob_service.h"
#include "protocols/transport/grpc_status.h"
#include "protocols/transport/late_answer.h"
#include "protocols/transport/server.h"
#include "protocols/wire/codec.h"
#include "site_agent/link/work_puller.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_pki.h"

namespace cloister::site {
namespace {

namespace v1 = wire::v1;
using ::testing::HasSubstr;
using transport::LateAnswer;

class SmallCoordinator final : public v1::Federation::CallbackService {
 public:
  grpc::ServerUnaryReactor* PullWork(grpc::CallbackServerContext* context, const v1::PullWorkRequest* request,
                                     v1::PullWorkReply* reply) override {
    const auto pull = wire::Decode(*request);
    if (!pull.ok()) {
      return LateAnswer::Now(context, pull.status());
    }
    agent_version_ = pull->agent_version;
    auto call = LateAnswer::Start(context, absl::Milliseconds(pull->wait_ms), [this, reply] {
      *reply = wire::Encode(work_);
      if (damage_) {
        reply->mutable_items(0)->mutable_closed()->set_phase("won");
      }
      return absl::OkStatus();
    });
    grpc::ServerUnaryReactor* reactor = call->reactor();
    if (pull->known_version != work_.version) {
      call->Wake();
    }
    ++pulls_;
    return reactor;
  }

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context, const v1::SiteMessage* message,
                                   v1::SubmitReply*) override {
    ++submits_;
    if (submits_ <= fail_first_) {
      return LateAnswer::Now(context, absl::UnavailableError("starting up"));
    }
    received_ = wire::Decode(*message).value();
    return LateAnswer::Now(context, verdict_);
  }

  wire::Work work_;
  bool damage_ = false;
  std::string agent_version_;
  std::atomic<int> pulls_ = 0;
  std::atomic<int> submits_ = 0;
  int fail_first_ = 0;
  std::optional<wire::SiteMessage> received_;
  absl::Status verdict_;
};

class LinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_.emplace(*storage::BlobStore::Open(dir_.path() / "blobs"));
    const auto allow_put = [this](const transport::Peer& peer, const wire::BlobHeader&) {
      if (full_disk_ > 0) {
        --full_disk_;
        return absl::ResourceExhaustedError("the disk is full; free some space and try again");
      }
      return transport::RequireRole(peer, crypto::Role::kSite);
    };
    const auto allow_get = [](const transport::Peer&, const Digest&) { return absl::OkStatus(); };
    blobs_ = std::make_unique<transport::BlobService>(&*store_, transport::IdentifyByCertificate(),
                                                      transport::BlobPolicy{allow_put, allow_get, nullptr});
    Start("127.0.0.1:0");
    const auto files = pki_.Issue("site-a", crypto::Role::kSite);
    transport::ChannelOptions options;
    options.target = "127.0.0.1:" + std::to_string(server_->port());
    options.tls = {files.ca, files.certificate, files.key};
    channel_ = *transport::CoordinatorChannel::Create(options, &clock_);
    link_options_.agent_version = "0.1.0";
    link_options_.transfer.backoff = {absl::Milliseconds(5), absl::Milliseconds(50)};
    link_ = std::make_unique<GrpcCoordinatorLink>(channel_, link_options_);
  }

  void Start(const std::string& listen) {
    const auto hub = pki_.Issue("hub", crypto::Role::kCoordinator);
    const auto credentials = transport::ServerTls({hub.ca, hub.certificate, hub.key}, absl::Now());
    server_ = *transport::Server::Start({listen, *credentials}, {&coordinator_, blobs_.get()});
  }

  wire::SiteMessage Failure() {
    return wire::SiteFailure{*JobId::Parse("job-1"), wire::SumKind::kTrain, 1, 1, wire::FailureReason::kDiskFull};
  }

  cloister::testing::TempDir dir_;
  cloister::testing::TestPki pki_{dir_.path() / "pki"};
  SystemClock clock_;
  std::optional<storage::BlobStore> store_;
  std::atomic<int> full_disk_ = 0;  // uploads that find it full
  SmallCoordinator coordinator_;
  std::unique_ptr<transport::BlobService> blobs_;
  std::unique_ptr<transport::Server> server_;
  std::shared_ptr<transport::CoordinatorChannel> channel_;
  GrpcCoordinatorLink::Options link_options_;
  std::unique_ptr<GrpcCoordinatorLink> link_;
  transport::StopSource stop_;
};

TEST_F(LinkTest, PullsWork) {
  coordinator_.work_ = {9, {wire::ExperimentClosed{*JobId::Parse("job-1"), "failed", "too few sites"}}};
  const auto work = link_->PullWork(0, absl::Seconds(30), stop_);
  ASSERT_TRUE(work.ok()) << work.status();
  EXPECT_EQ(work->version, 9u);
  EXPECT_EQ(std::get<wire::ExperimentClosed>(work->items.at(0)).reason, "too few sites");
  EXPECT_EQ(coordinator_.agent_version_, "0.1.0");
  EXPECT_EQ(link_->PullWork(9, absl::Milliseconds(20), stop_)->version, 9u);  // no news: after the wait
}

TEST_F(LinkTest, StopEndsALongPoll) {
  std::thread stopper([this] {
    while (coordinator_.pulls_ == 0) {
      std::this_thread::yield();
    }
    stop_.Stop();
  });
  EXPECT_TRUE(absl::IsCancelled(link_->PullWork(0, absl::Minutes(10), stop_).status()));
  stopper.join();
}

TEST_F(LinkTest, InvalidWorkIsNamedAsTheCoordinators) {
  coordinator_.work_ = {9, {wire::ExperimentClosed{*JobId::Parse("job-1"), "failed", ""}}};
  coordinator_.damage_ = true;
  const auto work = link_->PullWork(0, absl::Seconds(30), stop_);
  EXPECT_TRUE(absl::IsInvalidArgument(work.status()));
  EXPECT_THAT(std::string(work.status().message()), HasSubstr("the coordinator's list of work"));
}

TEST_F(LinkTest, SubmitsAndRetriesWhileTheCoordinatorStarts) {
  coordinator_.fail_first_ = 3;
  ASSERT_TRUE(link_->Submit(Failure(), stop_).ok());
  EXPECT_EQ(coordinator_.submits_, 4);
  EXPECT_EQ(std::get<wire::SiteFailure>(*coordinator_.received_).reason, wire::FailureReason::kDiskFull);
}

TEST_F(LinkTest, AnAnswerIsFinal) {
  coordinator_.verdict_ = absl::AbortedError("attempt 1 of round 1 is over");
  const absl::Status status = link_->Submit(Failure(), stop_);
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("site_failure: attempt 1 of round 1 is over"));
  EXPECT_EQ(coordinator_.submits_, 1);
}

TEST_F(LinkTest, SubmitWaitsForACoordinatorThatIsAway) {
  const std::string listen = "127.0.0.1:" + std::to_string(server_->port());
  server_->Stop(absl::ZeroDuration());
  server_.reset();
  absl::Status status = absl::UnknownError("");
  std::thread submitter([&] { status = link_->Submit(Failure(), stop_); });
  Start(listen);
  submitter.join();
  EXPECT_TRUE(status.ok()) << status;

  server_->Stop(absl::ZeroDuration());
  server_.reset();
  std::thread stopper([this] { stop_.Stop(); });
  EXPECT_TRUE(absl::IsCancelled(link_->Submit(Failure(), stop_)));
  stopper.join();
}

TEST_F(LinkTest, MovesBlobsBothWays) {
  const Bytes bytes(3'000'000, 'v');
  ASSERT_TRUE(WriteFileAtomically(dir_.path() / "vector", bytes).ok());
  const wire::BlobHeader header{crypto::Sha256(bytes), bytes.size(), wire::BlobPurpose::kMaskedVector,
                                *JobId::Parse("job-1")};
  ASSERT_TRUE(link_->Upload(header, dir_.path() / "vector", stop_).ok());
  auto local = storage::BlobStore::Open(dir_.path() / "local");
  ASSERT_TRUE(link_->Download(header.digest, bytes.size(), &*local, stop_).ok());
  EXPECT_EQ(*local->Read(header.digest), bytes);
  auto other = storage::BlobStore::Open(dir_.path() / "other");
  EXPECT_TRUE(absl::IsResourceExhausted(link_->Download(header.digest, 10, &*other, stop_)));
  EXPECT_TRUE(absl::IsNotFound(link_->Upload(header, dir_.path() / "missing", stop_)));
}

TEST_F(LinkTest, AFullDiskAtTheCoordinatorIsWaitedFor) {
  ASSERT_TRUE(WriteFileAtomically(dir_.path() / "vector", "masked").ok());
  const wire::BlobHeader header{crypto::Sha256("masked"), 6, wire::BlobPurpose::kMaskedVector, *JobId::Parse("job-1")};
  full_disk_ = 3;
  EXPECT_TRUE(link_->Upload(header, dir_.path() / "vector", stop_).ok());
  EXPECT_EQ(full_disk_, 0);
  EXPECT_TRUE(store_->Has(header.digest));
}

TEST_F(LinkTest, ThePullerLivesThroughARestart) {
  coordinator_.work_.version = 1;
  std::atomic<uint64_t> version = 0;
  WorkPuller puller(link_.get(), {absl::Minutes(1), {absl::Milliseconds(5), absl::Milliseconds(50)}},
                    [&](wire::Work work) { version = work.version; });
  while (version != 1) {
    std::this_thread::yield();
  }
  const std::string listen = "127.0.0.1:" + std::to_string(server_->port());
  server_->Stop(absl::ZeroDuration());
  server_.reset();
  coordinator_.work_.version = 2;
  Start(listen);
  while (version != 2) {
    std::this_thread::yield();
  }
  puller.Stop();
}

}  // namespace
}  // namespace cloister::site
