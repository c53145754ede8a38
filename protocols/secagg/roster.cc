// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/roster.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "protocols/crypto/ed25519.h"
#include "protocols/crypto/x25519.h"
#include "protocols/secagg/transcript.h"

namespace cloister::secagg {
namespace {

absl::Status CheckContext(const SumParams& params, const SiteId& site, const Digest& said, const Digest& ours,
                          const char* which) {
  if (said == ours) return absl::OkStatus();
  return absl::AbortedError(fmt::format("{}: site {} speaks of another {} ({}, here {})", NameOf(params), site.value(),
                                        which, said.short_hex(), ours.short_hex()));
}

// A key of low order would make everybody's agreement with it fail, and end the sum for all.
bool IsUsable(ByteView public_key) {
  static const crypto::X25519KeyPair probe =
      crypto::X25519KeyPair::FromSeed(crypto::SecretBytes::CopyOf(Bytes(crypto::kX25519Bytes, 'p'))).value();
  return probe.Derive(public_key).ok();
}

// The roster's index of `site` once its signature holds.
absl::Status CheckMember(const SumParams& params, const VerifiedRoster& roster, const SiteId& site,
                         std::string_view domain, ByteView signed_part, ByteView signature) {
  const std::optional<size_t> index = roster.IndexOf(site);
  if (!index.has_value()) {
    return absl::UnauthenticatedError(fmt::format("{}: {} is not in the roster", NameOf(params), site.value()));
  }
  return Annotate(roster.CheckSignature(*index, domain, signed_part, signature), NameOf(params));
}

}  // namespace

absl::StatusOr<Member> CheckAdvert(const SumParams& params, const Digest& ctx0, const Trust& trust, ByteView advert) {
  CLOISTER_ASSIGN_OR_RETURN(const Advert message, DecodeAdvert(advert));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Certificate certificate, crypto::Certificate::FromDer(message.certificate));
  if (certificate.subject_id() != message.site.value()) {
    return absl::UnauthenticatedError(fmt::format("{}: an advert of site {} with the certificate of {}", NameOf(params),
                                                  message.site.value(), certificate.subject_id()));
  }
  if (certificate.key_kind() != crypto::KeyKind::kSigning) {
    return absl::InvalidArgumentError(
        fmt::format("{}: site {} advertises a TLS certificate", NameOf(params), message.site.value()));
  }
  CLOISTER_RETURN_IF_ERROR(
      Annotate(crypto::VerifyChain(certificate, trust.ca, trust.now, crypto::Role::kSite), NameOf(params)));
  CLOISTER_RETURN_IF_ERROR(Annotate(crypto::VerifyEd25519(certificate.public_key(), DomainOf(MessageType::kAdvert),
                                                          SignedPart(message), message.signature),
                                    fmt::format("{}: advert of site {}", NameOf(params), message.site.value())));
  CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.site, message.ctx0, ctx0, "model, plan or attempt"));
  const bool named =
      std::find(params.participants.begin(), params.participants.end(), message.site) != params.participants.end();
  if (!params.participants.empty() && !named) {
    return absl::PermissionDeniedError(
        fmt::format("{}: site {} is not a participant of this plan", NameOf(params), message.site.value()));
  }
  for (const Bytes& key : {message.channel_key, message.mask_key}) {
    if (!IsUsable(key)) {
      return absl::InvalidArgumentError(
          fmt::format("{}: site {} advertises a key of low order", NameOf(params), message.site.value()));
    }
  }
  return Member{message.site,     certificate.public_key(),     message.channel_key,
                message.mask_key, message.self_mask_commitment, message.models_checked};
}

absl::StatusOr<VerifiedRoster> VerifiedRoster::Create(const SumParams& params, const Digest& ctx0, const Trust& trust,
                                                      const std::vector<Bytes>& adverts) {
  CLOISTER_RETURN_IF_ERROR(CheckCohort(params, static_cast<int>(adverts.size())));
  std::vector<Member> members;
  for (const Bytes& advert : adverts) {
    CLOISTER_ASSIGN_OR_RETURN(Member member, CheckAdvert(params, ctx0, trust, advert));
    members.push_back(std::move(member));
  }
  return FromMembers(params, ctx0, adverts, std::move(members));
}

absl::StatusOr<VerifiedRoster> VerifiedRoster::FromMembers(const SumParams& params, const Digest& ctx0,
                                                           const std::vector<Bytes>& adverts,
                                                           std::vector<Member> members) {
  CLOISTER_RETURN_IF_ERROR(CheckCohort(params, static_cast<int>(members.size())));
  // Each kind of key only with its own: signing keys are public, and a site that advertised another's as its channel
  // key would otherwise keep that one out.
  std::set<Bytes> channel_keys;
  std::set<Bytes> mask_keys;
  std::set<Bytes> signing_keys;
  for (size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    if (i > 0 && !(members[i - 1].site < member.site)) {
      return absl::InvalidArgumentError(
          fmt::format("{}: site {} is in the roster twice or out of order", NameOf(params), member.site.value()));
    }
    if (!channel_keys.insert(member.channel_key).second || !mask_keys.insert(member.mask_key).second ||
        !signing_keys.insert(member.signing_key).second) {
      return absl::InvalidArgumentError(
          fmt::format("{}: site {} uses a key that is already in the roster", NameOf(params), member.site.value()));
    }
  }
  VerifiedRoster roster;
  roster.members_ = std::move(members);
  roster.threshold_ = Threshold(static_cast<int>(adverts.size()));
  roster.quorum_ = std::max({params.n_min, kCohortFloor, roster.threshold_});
  std::vector<size_t> all(roster.size());
  std::iota(all.begin(), all.end(), size_t{0});
  CLOISTER_ASSIGN_OR_RETURN(roster.neighbourhoods_, Neighbourhoods::Create(params, roster.SitesAt(all)));
  CLOISTER_RETURN_IF_ERROR(roster.CheckReach(params, all, all));
  roster.ctx1_ = RosterContext(ctx0, adverts, roster.threshold_, roster.neighbourhoods().terms());
  return roster;
}

std::optional<size_t> VerifiedRoster::IndexOf(const SiteId& site) const {
  const auto found = std::lower_bound(members_.begin(), members_.end(), site,
                                      [](const Member& member, const SiteId& id) { return member.site < id; });
  if (found == members_.end() || found->site != site) return std::nullopt;
  return static_cast<size_t>(found - members_.begin());
}

std::vector<SiteId> VerifiedRoster::SitesAt(const std::vector<size_t>& indices) const {
  std::vector<SiteId> sites;
  for (const size_t index : indices) sites.push_back(members_[index].site);
  return sites;
}

absl::Status VerifiedRoster::CheckReach(const SumParams& params, const std::vector<size_t>& owners,
                                        const std::vector<size_t>& present) const {
  const auto out_of_reach = neighbourhoods().FindOutOfReach(owners, present);
  if (!out_of_reach.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: {} of the neighbourhood of site {} are left, wanted {}", NameOf(params), out_of_reach->holders,
                  members_[out_of_reach->owner].site.value(), neighbourhoods().threshold()));
}

absl::Status VerifiedRoster::CheckSignature(size_t index, std::string_view domain, ByteView signed_part,
                                            ByteView signature) const {
  return Annotate(crypto::VerifyEd25519(members_[index].signing_key, domain, signed_part, signature),
                  fmt::format("site {}", members_[index].site.value()));
}

absl::StatusOr<std::vector<size_t>> RisingIndices(const VerifiedRoster& roster, const std::vector<SiteId>& sites) {
  std::vector<size_t> indices;
  for (const SiteId& site : sites) {
    const std::optional<size_t> index = roster.IndexOf(site);
    if (!index.has_value()) return absl::InvalidArgumentError(fmt::format("{} is not in the roster", site.value()));
    if (!indices.empty() && indices.back() >= *index) {
      return absl::InvalidArgumentError(fmt::format("site {} is listed twice or out of order", site.value()));
    }
    indices.push_back(*index);
  }
  return indices;
}

bool Contains(const std::vector<size_t>& indices, size_t index) {
  return std::binary_search(indices.begin(), indices.end(), index);
}

absl::StatusOr<MaskedCommit> CheckCommit(const SumParams& params, const VerifiedRoster& roster, const Digest& ctx2,
                                         ByteView commit) {
  CLOISTER_ASSIGN_OR_RETURN(MaskedCommit message, DecodeMaskedCommit(commit));
  CLOISTER_RETURN_IF_ERROR(CheckMember(params, roster, message.site, DomainOf(MessageType::kMaskedCommit),
                                       SignedPart(message), message.signature));
  CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.site, message.ctx2, ctx2, "roster or set of sharers"));
  bool fits = message.vectors.size() == params.vectors.size();
  for (size_t i = 0; fits && i < message.vectors.size(); ++i) {
    fits = message.vectors[i].length == params.vectors[i].length;
  }
  if (!fits) {
    return absl::InvalidArgumentError(
        fmt::format("{}: site {} commits to other vectors than the plan's", NameOf(params), message.site.value()));
  }
  return message;
}

absl::StatusOr<Consistency> CheckConsistency(const SumParams& params, const VerifiedRoster& roster, const Digest& ctx2,
                                             ByteView consistency) {
  CLOISTER_ASSIGN_OR_RETURN(Consistency message, DecodeConsistency(consistency));
  CLOISTER_RETURN_IF_ERROR(CheckMember(params, roster, message.site, DomainOf(MessageType::kConsistency),
                                       SignedPart(message), message.signature));
  CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.site, message.ctx2, ctx2, "roster or set of sharers"));
  return message;
}

absl::StatusOr<ShareRoot> CheckShareRoot(const SumParams& params, const VerifiedRoster& roster, ByteView root) {
  CLOISTER_ASSIGN_OR_RETURN(ShareRoot message, DecodeShareRoot(root));
  CLOISTER_RETURN_IF_ERROR(
      CheckMember(params, roster, message.site, kShareRootDomain, SignedPart(message), message.signature));
  CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.site, message.ctx1, roster.ctx1(), "roster"));
  return message;
}

}  // namespace cloister::secagg
