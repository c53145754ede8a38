#pragma once
// SPDX-License-Identifier: Apache-2.0
// A coordinator for the operator's side, over mutual TLS: keeps what it is given and answers with what the test set.

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "protocols/storage/blob_store.h"
#include "protocols/transport/blob_service.h"
#include "protocols/transport/grpc_status.h"
#include "protocols/transport/server.h"
#include "protocols/wire/codec.h"
#include "tests/support/test_pki.h"

namespace cloister::coordinator {

class FakeCoordinator final : public wire::v1::Operation::Service {
 public:
  FakeCoordinator(const std::filesystem::path& folder, const cloister::testing::TestPki& pki)
      : store_(*storage::BlobStore::Open(folder)),
        blobs_(&store_, transport::IdentifyByCertificate(),
               {[](const transport::Peer& peer, const wire::BlobHeader& header) {
                  EXPECT_EQ(header.purpose, wire::BlobPurpose::kInitialModel);
                  return transport::RequireRole(peer, crypto::Role::kOperator);
                },
                [](const transport::Peer&, const Digest&) { return absl::PermissionDeniedError("no"); }, nullptr}) {
    const auto files = pki.Issue("hub", crypto::Role::kCoordinator);
    const auto credentials = transport::ServerTls({files.ca, files.certificate, files.key}, absl::Now());
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    server_ = *transport::Server::Start({"127.0.0.1:0", *credentials}, {this, &blobs_});
  }

  std::string target() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  grpc::Status SubmitExperiment(grpc::ServerContext*, const wire::v1::SubmitExperimentRequest* request,
                                wire::v1::SubmitExperimentReply* reply) override {
    const auto plan = wire::Decode(request->plan());
    if (!plan.ok()) return transport::ToGrpc(plan.status());
    submitted_ = *plan;
    reply->set_job_id("job-1");
    return transport::ToGrpc(refuse_);
  }
  grpc::Status AbortExperiment(grpc::ServerContext*, const wire::v1::AbortExperimentRequest* request,
                               wire::v1::ExperimentStatus* reply) override {
    aborted_ = request->job_id() + ": " + request->reason();
    experiments_.back().phase = wire::ExperimentPhase::kAborted;
    *reply = wire::Encode(experiments_.back());
    return grpc::Status::OK;
  }
  grpc::Status ListExperiments(grpc::ServerContext*, const wire::v1::ListExperimentsRequest*,
                               wire::v1::ListExperimentsReply* reply) override {
    for (const auto& status : experiments_) *reply->add_experiments() = wire::Encode(status);
    return grpc::Status::OK;
  }
  grpc::Status GetExperiment(grpc::ServerContext*, const wire::v1::GetExperimentRequest* request,
                             wire::v1::ExperimentStatus* reply) override {
    for (const auto& status : experiments_) {
      if (status.job.value() == request->job_id()) {
        *reply = wire::Encode(status);
        return grpc::Status::OK;
      }
    }
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such experiment");
  }
  // Each call streams one of `streams_` and ends as that one says.
  grpc::Status WatchExperiment(grpc::ServerContext*, const wire::v1::WatchExperimentRequest* request,
                               grpc::ServerWriter<wire::v1::ExperimentEvent>* writer) override {
    watched_after_.push_back(request->after_sequence());
    if (streams_.empty()) return grpc::Status::OK;
    const Stream stream = streams_.front();
    streams_.pop_front();
    for (const auto& event : stream.events) writer->Write(wire::Encode(event));
    return transport::ToGrpc(stream.end);
  }
  grpc::Status ListReleases(grpc::ServerContext*, const wire::v1::ListReleasesRequest*,
                            wire::v1::ListReleasesReply* reply) override {
    for (const auto& release : releases_) *reply->add_releases() = wire::Encode(release);
    return grpc::Status::OK;
  }
  grpc::Status GetRelease(grpc::ServerContext*, const wire::v1::GetReleaseRequest* request,
                          wire::v1::ReleaseStatus* reply) override {
    for (const auto& release : releases_) {
      if (release.release.value() == request->release_id()) {
        *reply = wire::Encode(release);
        return grpc::Status::OK;
      }
    }
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such release");
  }
  grpc::Status ListSites(grpc::ServerContext*, const wire::v1::ListSitesRequest*,
                         wire::v1::ListSitesReply* reply) override {
    for (const auto& site : sites_) *reply->add_sites() = wire::Encode(site);
    return grpc::Status::OK;
  }

  struct Stream {
    std::vector<wire::ExperimentEvent> events;
    absl::Status end;
  };

  storage::BlobStore store_;
  std::optional<wire::SignedDocument> submitted_;
  absl::Status refuse_;
  std::string aborted_;
  std::vector<wire::ExperimentStatus> experiments_;
  std::deque<Stream> streams_;
  std::vector<uint64_t> watched_after_;
  std::vector<wire::ReleaseStatus> releases_;
  std::vector<wire::SiteStatus> sites_;

 private:
  transport::BlobService blobs_;
  std::unique_ptr<transport::Server> server_;  // last: stops before what it serves goes
};

}  // namespace cloister::coordinator
