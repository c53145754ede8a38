#pragma once
// SPDX-License-Identifier: Apache-2.0
// The calls of sites: decode, check who it is, hand to the driver. No thread waits; a thousand long polls are a
// thousand small objects.

#include "coordinator/service/driver.h"
#include "protocols/transport/tls.h"
#include "protocols/wire/cloister.grpc.pb.h"

namespace cloister::coordinator {

class FederationService final : public wire::v1::Federation::CallbackService {
 public:
  // `driver` must outlive the server that runs this.
  FederationService(Driver* driver, transport::IdentifyPeer identify)
      : driver_(driver), identify_(std::move(identify)) {}

  grpc::ServerUnaryReactor* PullWork(grpc::CallbackServerContext* context, const wire::v1::PullWorkRequest* request,
                                     wire::v1::PullWorkReply* reply) override;
  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context, const wire::v1::SiteMessage* message,
                                   wire::v1::SubmitReply* reply) override;

 private:
  Driver* const driver_;
  const transport::IdentifyPeer identify_;
};

}  // namespace cloister::coordinator
