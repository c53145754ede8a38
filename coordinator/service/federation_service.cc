// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/federation_service.h"

#include "protocols/transport/grpc_status.h"
#include "protocols/transport/late_answer.h"
#include "protocols/wire/codec.h"

namespace cloister::coordinator {
namespace {

using transport::LateAnswer;

absl::StatusOr<transport::Peer> IdentifySite(const transport::IdentifyPeer& identify,
                                             const grpc::CallbackServerContext& context) {
  CLOISTER_ASSIGN_OR_RETURN(transport::Peer peer, identify(context));
  CLOISTER_RETURN_IF_ERROR(transport::RequireRole(peer, crypto::Role::kSite));
  return peer;
}

}  // namespace

grpc::ServerUnaryReactor* FederationService::PullWork(grpc::CallbackServerContext* context,
                                                      const wire::v1::PullWorkRequest* request,
                                                      wire::v1::PullWorkReply* reply) {
  const absl::StatusOr<transport::Peer> peer = IdentifySite(identify_, *context);
  if (!peer.ok()) {
    return LateAnswer::Now(context, peer.status());
  }
  const absl::StatusOr<wire::PullRequest> pull = wire::Decode(*request);
  const absl::StatusOr<SiteId> site = SiteId::Parse(peer->id);
  if (!pull.ok() || !site.ok()) {
    return LateAnswer::Now(context, pull.ok() ? site.status() : pull.status());
  }
  WorkBoard& board = driver_->board();
  auto call = LateAnswer::Start(context, absl::Milliseconds(pull->wait_ms), [&board, site = *site, reply] {
    *reply = wire::Encode(Make(*board.Current(site)));
    return absl::OkStatus();
  });
  grpc::ServerUnaryReactor* const reactor = call->reactor();
  board.Wait(*site, pull->known_version, std::move(call));
  // After it waits: a site that has dropped out is seen waiting from now on.
  driver_->Heard(*peer, pull->agent_version);
  return reactor;
}

grpc::ServerUnaryReactor* FederationService::Submit(grpc::CallbackServerContext* context,
                                                    const wire::v1::SiteMessage* message, wire::v1::SubmitReply*) {
  const absl::StatusOr<transport::Peer> peer = IdentifySite(identify_, *context);
  if (!peer.ok()) {
    return LateAnswer::Now(context, peer.status());
  }
  absl::StatusOr<wire::SiteMessage> decoded = wire::Decode(*message);
  if (!decoded.ok()) {
    return LateAnswer::Now(context, decoded.status());
  }
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  driver_->Submit(*peer, *std::move(decoded),
                  [reactor](const absl::Status& status) { reactor->Finish(transport::ToGrpc(status)); });
  return reactor;
}

}  // namespace cloister::coordinator
