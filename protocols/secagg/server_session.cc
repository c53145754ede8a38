// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/server_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "protocols/secagg/server_core.h"

namespace cloister::secagg {
namespace {

// The phase in which sites send this type. Nullopt: no message of a site.
std::optional<ServerPhase> PhaseOf(MessageType type) {
  switch (type) {
    case MessageType::kAdvert:
      return ServerPhase::kAdvertise;
    case MessageType::kShares:
      return ServerPhase::kShare;
    case MessageType::kMaskedCommit:
      return ServerPhase::kMaskedInput;
    case MessageType::kConsistency:
      return ServerPhase::kConsistency;
    case MessageType::kUnmask:
      return ServerPhase::kUnmask;
    default:
      return std::nullopt;
  }
}

bool IsIn(const std::vector<SiteId>& sorted, const SiteId& site) {
  return std::binary_search(sorted.begin(), sorted.end(), site);
}

}  // namespace

std::string_view NameOf(ServerPhase phase) {
  constexpr std::string_view kNames[] = {"advertise", "share", "masked_input", "consistency", "unmask", "done"};
  return kNames[static_cast<size_t>(phase)];
}

ServerSession::ServerSession(std::unique_ptr<Core> core) : core_(std::move(core)) {}
ServerSession::~ServerSession() = default;
ServerSession::ServerSession(ServerSession&&) noexcept = default;
ServerSession& ServerSession::operator=(ServerSession&&) noexcept = default;

absl::StatusOr<ServerSession> ServerSession::Create(ServerInputs inputs) {
  CLOISTER_RETURN_IF_ERROR(CheckParams(inputs.params));
  std::sort(inputs.expected.begin(), inputs.expected.end());
  if (std::adjacent_find(inputs.expected.begin(), inputs.expected.end()) != inputs.expected.end()) {
    return absl::InvalidArgumentError(fmt::format("{}: a site is expected twice", NameOf(inputs.params)));
  }
  CLOISTER_RETURN_IF_ERROR(CheckCohort(inputs.params, static_cast<int>(inputs.expected.size())));
  auto core = std::make_unique<Core>();
  core->ctx0 = ContextOf(inputs.params);
  core->params = std::move(inputs.params);
  core->trust = {std::move(inputs.ca), inputs.now};
  core->expected = std::move(inputs.expected);
  return ServerSession(std::move(core));
}

std::vector<SiteId> ServerSession::Core::Asked() const {
  switch (phase) {
    case ServerPhase::kAdvertise:
      return expected;
    case ServerPhase::kShare: {
      std::vector<SiteId> sites;
      for (const Member& member : roster->members()) sites.push_back(member.site);
      return sites;
    }
    case ServerPhase::kMaskedInput:
      return roster->SitesAt(sharers);
    case ServerPhase::kConsistency:
    case ServerPhase::kUnmask:
      return roster->SitesAt(survivors);
    case ServerPhase::kDone:
      break;
  }
  return {};
}

absl::Status ServerSession::Handle(const SiteId& from, ByteView message) {
  Core& core = *core_;
  if (!IsIn(core.expected, from)) {
    return absl::PermissionDeniedError(fmt::format("{}: site {} was not asked", NameOf(core.params), from.value()));
  }
  CLOISTER_ASSIGN_OR_RETURN(const MessageType type, TypeOf(message));
  const std::optional<ServerPhase> phase = PhaseOf(type);
  if (!phase.has_value()) {
    return absl::InvalidArgumentError(fmt::format("a site does not send {}", NameOf(type)));
  }
  std::map<SiteId, Bytes>& accepted = core.accepted[static_cast<size_t>(*phase)];
  const bool is_published = *phase != ServerPhase::kShare && *phase != ServerPhase::kUnmask;
  const Bytes kept = is_published ? Bytes(message) : Bytes(crypto::Sha256(message).view());
  if (const auto before = accepted.find(from); before != accepted.end()) {
    if (before->second == kept) return absl::OkStatus();
    return absl::FailedPreconditionError(
        fmt::format("{}: a second, different {} of site {}", NameOf(core.params), NameOf(type), from.value()));
  }
  if (*phase != core.phase || !IsIn(core.Asked(), from)) {
    return absl::FailedPreconditionError(fmt::format("{}: {} of site {} while {}{}", NameOf(core.params), NameOf(type),
                                                     from.value(), NameOf(core.phase),
                                                     *phase < core.phase ? ": too late, it counts as a dropout" : ""));
  }
  CLOISTER_RETURN_IF_ERROR(core.Take(from, message));
  accepted.emplace(from, kept);
  return absl::OkStatus();
}

ServerPhase ServerSession::phase() const {
  return core_->phase;
}

std::vector<SiteId> ServerSession::Answered() const {
  std::vector<SiteId> sites;
  if (core_->phase == ServerPhase::kDone) return sites;
  for (const auto& [site, message] : core_->AcceptedNow()) sites.push_back(site);
  return sites;
}

std::vector<SiteId> ServerSession::Awaited() const {
  std::vector<SiteId> sites = core_->Asked();
  if (core_->phase == ServerPhase::kDone) return {};
  sites.erase(std::remove_if(sites.begin(), sites.end(),
                             [this](const SiteId& site) { return core_->AcceptedNow().count(site) > 0; }),
              sites.end());
  return sites;
}

absl::Status ServerSession::CanClose() const {
  return core_->CanClose();
}

absl::Status ServerSession::Close() {
  CLOISTER_RETURN_IF_ERROR(core_->CanClose());
  switch (core_->phase) {
    case ServerPhase::kAdvertise:
      CLOISTER_RETURN_IF_ERROR(core_->CloseAdvertise());
      break;
    case ServerPhase::kShare:
      core_->CloseShare();
      break;
    case ServerPhase::kMaskedInput:
      core_->CloseMaskedInput();
      break;
    case ServerPhase::kConsistency:
      core_->CloseConsistency();
      break;
    case ServerPhase::kUnmask:
      CLOISTER_RETURN_IF_ERROR(core_->CloseUnmask());
      break;
    case ServerPhase::kDone:
      break;
  }
  core_->phase = static_cast<ServerPhase>(static_cast<int>(core_->phase) + 1);
  return absl::OkStatus();
}

std::vector<Bytes> ServerSession::MessagesFor(const SiteId& site) const {
  const Core& core = *core_;
  std::vector<Bytes> messages;
  if (core.phase == ServerPhase::kAdvertise) return messages;
  const std::optional<size_t> index = core.roster->IndexOf(site);
  if (!index.has_value()) return messages;
  messages.push_back(core.roster_message);
  if (core.phase < ServerPhase::kMaskedInput || !Contains(core.sharers, *index)) return messages;
  messages.push_back(core.DeliveryFor(*index));
  if (core.phase < ServerPhase::kConsistency || !Contains(core.survivors, *index)) return messages;
  messages.push_back(core.survivor_list);
  if (core.phase >= ServerPhase::kUnmask) messages.push_back(core.signature_set);
  return messages;
}

Bytes ServerSession::DeliveryFor(const SiteId& site) const {
  const std::optional<size_t> index = core_->roster.has_value() ? core_->roster->IndexOf(site) : std::nullopt;
  return index.has_value() && Contains(core_->sharers, *index) ? core_->DeliveryFor(*index) : Bytes();
}

std::vector<SiteId> ServerSession::roster() const {
  std::vector<SiteId> sites;
  if (!core_->roster.has_value()) return sites;
  for (const Member& member : core_->roster->members()) sites.push_back(member.site);
  return sites;
}

std::vector<SiteId> ServerSession::sharers() const {
  return core_->roster.has_value() ? core_->roster->SitesAt(core_->sharers) : std::vector<SiteId>();
}

std::vector<SiteId> ServerSession::survivors() const {
  return core_->roster.has_value() ? core_->roster->SitesAt(core_->survivors) : std::vector<SiteId>();
}

absl::StatusOr<MaskedCommit> ServerSession::CommitOf(const SiteId& site) const {
  const std::optional<size_t> index = core_->roster.has_value() ? core_->roster->IndexOf(site) : std::nullopt;
  if (!index.has_value() || !Contains(core_->survivors, *index)) {
    return absl::NotFoundError(fmt::format("{}: {} is not a survivor", NameOf(core_->params), site.value()));
  }
  return core_->commits.at(*index);
}

const std::vector<Blame>& ServerSession::blames() const {
  return core_->blames;
}

absl::StatusOr<const Unmasker*> ServerSession::unmasker() const {
  if (!core_->unmasker.has_value()) {
    return absl::FailedPreconditionError(
        fmt::format("{}: no shares yet to unmask with, still {}", NameOf(core_->params), NameOf(core_->phase)));
  }
  return &*core_->unmasker;
}

absl::StatusOr<ServerSession::Published> ServerSession::published() const {
  CLOISTER_RETURN_IF_ERROR(unmasker().status());
  return Published{core_->ctx2, core_->survivor_digest, core_->tag};
}

}  // namespace cloister::secagg
