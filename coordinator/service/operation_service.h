#pragma once
// SPDX-License-Identifier: Apache-2.0
// The calls of operators: decode, check who it is, hand to the driver.

#include "coordinator/service/driver.h"
#include "protocols/transport/tls.h"
#include "protocols/wire/cloister.grpc.pb.h"

namespace cloister::coordinator {

class OperationService final : public wire::v1::Operation::CallbackService {
 public:
  // `driver` must outlive the server that runs this.
  OperationService(Driver* driver, transport::IdentifyPeer identify)
      : driver_(driver), identify_(std::move(identify)) {}

  grpc::ServerUnaryReactor* SubmitExperiment(grpc::CallbackServerContext* context,
                                             const wire::v1::SubmitExperimentRequest* request,
                                             wire::v1::SubmitExperimentReply* reply) override;
  grpc::ServerUnaryReactor* AbortExperiment(grpc::CallbackServerContext* context,
                                            const wire::v1::AbortExperimentRequest* request,
                                            wire::v1::ExperimentStatus* reply) override;
  grpc::ServerUnaryReactor* ListExperiments(grpc::CallbackServerContext* context,
                                            const wire::v1::ListExperimentsRequest* request,
                                            wire::v1::ListExperimentsReply* reply) override;
  grpc::ServerUnaryReactor* GetExperiment(grpc::CallbackServerContext* context,
                                          const wire::v1::GetExperimentRequest* request,
                                          wire::v1::ExperimentStatus* reply) override;
  grpc::ServerWriteReactor<wire::v1::ExperimentEvent>* WatchExperiment(
      grpc::CallbackServerContext* context, const wire::v1::WatchExperimentRequest* request) override;
  grpc::ServerUnaryReactor* ListReleases(grpc::CallbackServerContext* context,
                                         const wire::v1::ListReleasesRequest* request,
                                         wire::v1::ListReleasesReply* reply) override;
  grpc::ServerUnaryReactor* GetRelease(grpc::CallbackServerContext* context, const wire::v1::GetReleaseRequest* request,
                                       wire::v1::ReleaseStatus* reply) override;
  grpc::ServerUnaryReactor* ListSites(grpc::CallbackServerContext* context, const wire::v1::ListSitesRequest* request,
                                      wire::v1::ListSitesReply* reply) override;

 private:
  absl::StatusOr<transport::Peer> Identify(const grpc::CallbackServerContext& context) const;

  Driver* const driver_;
  const transport::IdentifyPeer identify_;
};

}  // namespace cloister::coordinator
