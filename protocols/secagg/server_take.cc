// SPDX-License-Identifier: Apache-2.0
// What the coordinator checks of each message of a site before it counts.
#include <fmt/format.h>

#include "protocols/secagg/check_tag.h"
#include "protocols/secagg/server_core.h"
#include "protocols/secagg/transcript.h"

namespace cloister::secagg {
namespace {

constexpr size_t kSealedBytes = 2 * kShamirShareBytes + kCheckPartBytes + 16;

absl::Status CheckSender(const SumParams& params, const SiteId& from, const SiteId& said) {
  if (from == said) return absl::OkStatus();
  return absl::UnauthenticatedError(
      fmt::format("{}: site {} sends a message of site {}", NameOf(params), from.value(), said.value()));
}

}  // namespace

absl::Status ServerSession::Core::Take(const SiteId& from, ByteView message) {
  switch (phase) {
    case ServerPhase::kAdvertise:
      return TakeAdvert(from, message);
    case ServerPhase::kShare:
      return TakeShares(from, message);
    case ServerPhase::kMaskedInput:
      return TakeCommit(from, message);
    case ServerPhase::kConsistency:
      return TakeConsistency(from, message);
    case ServerPhase::kUnmask:
      return TakeUnmask(from, message);
    case ServerPhase::kDone:
      break;
  }
  return absl::FailedPreconditionError(fmt::format("{}: done", NameOf(params)));
}

absl::Status ServerSession::Core::TakeAdvert(const SiteId& from, ByteView message) {
  CLOISTER_ASSIGN_OR_RETURN(Member member, CheckAdvert(params, ctx0, trust, message));
  CLOISTER_RETURN_IF_ERROR(CheckSender(params, from, member.site));
  // A roster with a key in it twice would be refused by every site: better to refuse the second site alone.
  for (const auto& [site, other] : advertised) {
    if (member.channel_key == other.channel_key || member.mask_key == other.mask_key ||
        member.signing_key == other.signing_key) {
      return absl::InvalidArgumentError(fmt::format("{}: site {} advertises a key that site {} has already",
                                                    NameOf(params), from.value(), site.value()));
    }
  }
  advertised.emplace(from, std::move(member));
  return absl::OkStatus();
}

absl::Status ServerSession::Core::TakeShares(const SiteId& from, ByteView message) {
  CLOISTER_ASSIGN_OR_RETURN(Shares shares_of_site, DecodeShares(message));
  CLOISTER_ASSIGN_OR_RETURN(const ShareRoot root, CheckShareRoot(params, *roster, shares_of_site.root));
  CLOISTER_RETURN_IF_ERROR(CheckSender(params, from, root.site));
  const size_t owner = roster->IndexOf(from).value();
  const std::vector<Holder>& neighbourhood = holders[owner];
  bool fits = shares_of_site.entries.size() == neighbourhood.size() &&
              shares_of_site.check_envelopes.size() == kCheckEnvelopeBytes * (roster->size() - neighbourhood.size());
  std::vector<Digest> leaves;
  for (size_t i = 0; fits && i < neighbourhood.size(); ++i) {
    const SealedShare& share = shares_of_site.entries[i];
    fits = share.recipient == (*roster)[neighbourhood[i].member].site &&
           share.sealed.size() == (neighbourhood[i].member == owner ? 0 : kSealedBytes);
    leaves.push_back(ShareLeaf(share));
  }
  if (!fits || crypto::MerkleRootOf(leaves) != root.root) {
    return absl::InvalidArgumentError(
        fmt::format("{}: the shares of site {} are not what it signed for this roster", NameOf(params), from.value()));
  }
  shares[owner] = std::move(shares_of_site);
  return absl::OkStatus();
}

absl::Status ServerSession::Core::TakeCommit(const SiteId& from, ByteView message) {
  CLOISTER_ASSIGN_OR_RETURN(MaskedCommit commit, CheckCommit(params, *roster, ctx2, message));
  CLOISTER_RETURN_IF_ERROR(CheckSender(params, from, commit.site));
  commits[roster->IndexOf(from).value()] = std::move(commit);
  return absl::OkStatus();
}

absl::Status ServerSession::Core::TakeConsistency(const SiteId& from, ByteView message) {
  CLOISTER_ASSIGN_OR_RETURN(const Consistency consistency, CheckConsistency(params, *roster, ctx2, message));
  CLOISTER_RETURN_IF_ERROR(CheckSender(params, from, consistency.site));
  if (consistency.survivors == survivor_digest) return absl::OkStatus();
  return absl::AbortedError(fmt::format("{}: site {} confirms another list of survivors ({}, here {})", NameOf(params),
                                        from.value(), consistency.survivors.short_hex(), survivor_digest.short_hex()));
}

absl::Status ServerSession::Core::TakeUnmask(const SiteId& from, ByteView message) {
  CLOISTER_ASSIGN_OR_RETURN(const Unmask unmask, DecodeUnmask(message));
  CLOISTER_RETURN_IF_ERROR(CheckSender(params, from, unmask.site));
  const size_t holder = roster->IndexOf(from).value();
  CLOISTER_RETURN_IF_ERROR(
      Annotate(roster->CheckSignature(holder, DomainOf(MessageType::kUnmask), SignedPart(unmask), unmask.signature),
               NameOf(params)));
  if (unmask.ctx2 != ctx2 || unmask.survivors != survivor_digest) {
    return absl::AbortedError(fmt::format("{}: site {} unmasks another sum (survivors {}, here {})", NameOf(params),
                                          from.value(), unmask.survivors.short_hex(), survivor_digest.short_hex()));
  }
  std::vector<size_t> owners;
  for (const auto& [owner, x] : holders[holder]) {
    if (Contains(sharers, owner)) owners.push_back(owner);
  }
  bool fits = unmask.reveals.size() == owners.size();
  for (size_t i = 0; fits && i < owners.size(); ++i) {
    const Reveal& reveal = unmask.reveals[i];
    const bool survived = Contains(survivors, owners[i]);
    fits = reveal.owner == (*roster)[owners[i]].site && survived == std::holds_alternative<SelfMaskShare>(reveal.share);
  }
  if (!fits) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: site {} does not reveal one share of the right kind for every sharer", NameOf(params), from.value()));
  }
  for (size_t i = 0; i < owners.size(); ++i) TakeReveal(holder, owners[i], unmask.reveals[i]);
  return absl::OkStatus();
}

void ServerSession::Core::TakeReveal(size_t holder, size_t owner, const Reveal& reveal) {
  const SiteId& holder_site = (*roster)[holder].site;
  const SiteId& owner_site = (*roster)[owner].site;
  const size_t place = PlaceOf(owner, holder);
  const SealedShare& signed_share = shares.at(owner).entries[place];
  const auto* self_mask = std::get_if<SelfMaskShare>(&reveal.share);
  const ShareKind kind = self_mask != nullptr ? ShareKind::kSelfMask : ShareKind::kKey;
  const ShamirShare& share = self_mask != nullptr ? self_mask->share : std::get<KeyShare>(reveal.share).share;
  const Digest& wanted = self_mask != nullptr ? signed_share.self_mask_hash : signed_share.key_hash;
  if (ShareHash(roster->ctx1(), owner_site, holder_site, kind, share) != wanted) {
    blames.push_back({holder_site, fmt::format("site {} revealed a share of site {} that does not match the hash which "
                                               "the owner signed",
                                               holder_site.value(), owner_site.value())});
    return;
  }
  good_shares[owner].emplace(holders[owner][place].x, share);
}

}  // namespace cloister::secagg
