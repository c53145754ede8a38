// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/client_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "protocols/secagg/client_core.h"
#include "protocols/secagg/transcript.h"

namespace cloister::secagg {
namespace {

using CoordinatorMessage = std::variant<Roster, ShareDelivery, SurvivorList, SignatureSet>;

template <typename T>
absl::StatusOr<CoordinatorMessage> Wrap(absl::StatusOr<T> message) {
  if (!message.ok()) return message.status();
  return CoordinatorMessage(*std::move(message));
}

absl::StatusOr<CoordinatorMessage> Decode(ByteView message) {
  CLOISTER_ASSIGN_OR_RETURN(const MessageType type, TypeOf(message));
  switch (type) {
    case MessageType::kRoster:
      return Wrap(DecodeRoster(message));
    case MessageType::kShareDelivery:
      return Wrap(DecodeShareDelivery(message));
    case MessageType::kSurvivorList:
      return Wrap(DecodeSurvivorList(message));
    case MessageType::kSignatureSet:
      return Wrap(DecodeSignatureSet(message));
    default:
      return absl::InvalidArgumentError(fmt::format("a coordinator does not send {}", NameOf(type)));
  }
}

absl::Status Dead(const Aborted& aborted) {
  return absl::FailedPreconditionError(
      fmt::format("the session ended earlier: {}", std::string(aborted.why.message())));
}

}  // namespace

std::string_view NameOf(ClientPhase phase) {
  constexpr std::string_view kNames[] = {"starting",  "advertised", "shared",   "masking",
                                         "committed", "confirmed",  "finished", "aborted"};
  return kNames[static_cast<size_t>(phase)];
}

ClientSession::ClientSession(std::unique_ptr<Core> core) : core_(std::move(core)) {}
ClientSession::~ClientSession() = default;
ClientSession::ClientSession(ClientSession&&) noexcept = default;
ClientSession& ClientSession::operator=(ClientSession&&) noexcept = default;

absl::StatusOr<ClientSession> ClientSession::Create(ClientInputs inputs) {
  CLOISTER_RETURN_IF_ERROR(CheckParams(inputs.params));
  if (inputs.job_secret.size() != 32) {
    return absl::InvalidArgumentError(fmt::format("a job secret has 32 bytes, not {}", inputs.job_secret.size()));
  }
  CLOISTER_RETURN_IF_ERROR(
      crypto::VerifyChain(inputs.signer.certificate(), inputs.ca, inputs.now, crypto::Role::kSite));
  CLOISTER_ASSIGN_OR_RETURN(SiteId self, SiteId::Parse(inputs.signer.id()));
  const std::vector<SiteId>& participants = inputs.params.participants;
  if (!participants.empty() && std::find(participants.begin(), participants.end(), self) == participants.end()) {
    return absl::FailedPreconditionError(
        fmt::format("{}: site {} is not a participant", NameOf(inputs.params), self.value()));
  }
  const Digest ctx0 = ContextOf(inputs.params);
  const auto closed = inputs.facts.find(FactScope(inputs.params) + "closed");
  if (closed != inputs.facts.end() && closed->second != ctx0) {
    return absl::AbortedError(
        fmt::format("{}: another attempt of this round released its shares; no second sum", NameOf(inputs.params)));
  }
  // Two attempts may both be released to the coordinator, each by other sites, unless an older one goes nowhere without
  // those who have begun the newer one.
  const std::optional<uint32_t> newest = NewestAttempt(inputs.params, inputs.facts);
  if (newest > inputs.params.attempt) {
    return absl::AbortedError(fmt::format("{}: this site has moved on to attempt {}", NameOf(inputs.params), *newest));
  }
  SiteSecrets secrets = DeriveSecrets(ctx0, self, inputs.job_secret);
  return ClientSession(std::unique_ptr<Core>(new Core{std::move(inputs.params),
                                                      std::move(inputs.signer),
                                                      {std::move(inputs.ca), inputs.now},
                                                      std::move(inputs.facts),
                                                      inputs.models_checked,
                                                      ctx0,
                                                      std::move(self),
                                                      Starting{std::move(secrets)},
                                                      {}}));
}

absl::StatusOr<ClientStep> ClientSession::Advertise() {
  if (const auto* aborted = std::get_if<Aborted>(&core_->state)) return Dead(*aborted);
  // The advert answers no message: it is remembered under no digest.
  if (const auto said = core_->answered.find(Digest()); said != core_->answered.end()) return said->second;
  SiteSecrets& secrets = std::get<Starting>(core_->state).secrets;
  Advert advert;
  advert.ctx0 = core_->ctx0;
  advert.site = core_->self;
  advert.channel_key = secrets.channel.public_key();
  advert.mask_key = secrets.mask.public_key();
  advert.self_mask_commitment = SelfMaskCommitment(core_->ctx0, core_->self, secrets.self_mask);
  advert.models_checked = core_->models_checked;
  advert.certificate = core_->signer.certificate().der();
  advert.signature = core_->signer.Sign(DomainOf(MessageType::kAdvert), SignedPart(advert));
  ClientStep step;
  step.reply = Encode(advert);
  if (absl::Status agrees = core_->Assert(step, "advert", crypto::Sha256(*step.reply)); !agrees.ok()) {
    return core_->Abort(std::move(agrees));
  }
  Advertised next{std::move(secrets), *step.reply};
  core_->state = std::move(next);
  core_->answered.emplace(Digest(), step);
  return step;
}

absl::StatusOr<ClientStep> ClientSession::Handle(ByteView message) {
  if (const auto* aborted = std::get_if<Aborted>(&core_->state)) return Dead(*aborted);
  const Digest digest = crypto::Sha256(message);
  if (const auto known = core_->answered.find(digest); known != core_->answered.end()) return known->second;
  absl::StatusOr<CoordinatorMessage> decoded = Decode(message);
  if (!decoded.ok()) return core_->Abort(decoded.status());
  absl::StatusOr<ClientStep> step = std::visit(
      [this](auto& state, const auto& received) { return core_->On(state, received); }, core_->state, *decoded);
  if (!step.ok()) return core_->Abort(step.status());
  core_->answered.emplace(digest, *step);
  return step;
}

absl::Status ClientSession::Mask(size_t index, uint64_t offset, absl::Span<uint32_t> values) {
  return core_->MaskElements(index, offset, values);
}

absl::Status ClientSession::Mask(size_t index, uint64_t offset, absl::Span<uint64_t> values) {
  return core_->MaskElements(index, offset, values);
}

absl::StatusOr<ClientStep> ClientSession::Commit(const std::vector<VectorCommit>& vectors) {
  if (const auto* aborted = std::get_if<Aborted>(&core_->state)) return Dead(*aborted);
  MaskedCommit commit;
  if (const auto* committed = std::get_if<Committed>(&core_->state)) {
    CLOISTER_ASSIGN_OR_RETURN(commit, DecodeMaskedCommit(committed->commit));
  } else if (const auto* now = std::get_if<Masking>(&core_->state)) {
    CLOISTER_RETURN_IF_ERROR(core_->CheckMasked(*now, vectors));
    commit.ctx2 = now->ctx2;
    commit.site = core_->self;
    commit.tag = FieldAdd(now->tag.value(), now->tag_mask);
  } else {
    return absl::FailedPreconditionError(
        fmt::format("{}: nothing to commit to while {}", NameOf(core_->params), NameOf(phase())));
  }
  commit.vectors = vectors;
  commit.signature = core_->signer.Sign(DomainOf(MessageType::kMaskedCommit), SignedPart(commit));
  return core_->CommitTo(Encode(commit));
}

absl::StatusOr<ClientStep> ClientSession::Recommit(ByteView commit) {
  if (const auto* aborted = std::get_if<Aborted>(&core_->state)) return Dead(*aborted);
  const auto stored = core_->facts.find(core_->KeyOf("masked"));
  if (!std::holds_alternative<Masking>(core_->state) || stored == core_->facts.end()) {
    return absl::FailedPreconditionError(
        fmt::format("{}: this site has not committed before, or is {}", NameOf(core_->params), NameOf(phase())));
  }
  return core_->CommitTo(Bytes(commit));
}

const SumCheck* ClientSession::check() const {
  const auto* finished = std::get_if<Finished>(&core_->state);
  return finished == nullptr ? nullptr : &finished->check;
}

ClientPhase ClientSession::phase() const {
  return static_cast<ClientPhase>(core_->state.index());
}

const SumParams& ClientSession::params() const {
  return core_->params;
}

std::vector<SiteId> ClientSession::roster() const {
  const VerifiedRoster* roster = core_->KnownRoster();
  std::vector<SiteId> sites;
  for (size_t i = 0; roster != nullptr && i < roster->size(); ++i) sites.push_back((*roster)[i].site);
  return sites;
}

std::vector<SiteId> ClientSession::sharers() const {
  if (const auto* now = std::get_if<Masking>(&core_->state)) return now->roster.SitesAt(now->sharers);
  if (const auto* now = std::get_if<Committed>(&core_->state)) return now->roster.SitesAt(now->sharers);
  if (const auto* now = std::get_if<Confirmed>(&core_->state)) return now->roster.SitesAt(now->sharers);
  if (const auto* now = std::get_if<Finished>(&core_->state)) return now->roster.SitesAt(now->sharers);
  return {};
}

std::vector<SiteId> ClientSession::survivors() const {
  if (const auto* now = std::get_if<Confirmed>(&core_->state)) return now->roster.SitesAt(now->survivors);
  if (const auto* now = std::get_if<Finished>(&core_->state)) return now->roster.SitesAt(now->survivors);
  return {};
}

}  // namespace cloister::secagg
