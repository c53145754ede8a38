// SPDX-License-Identifier: Apache-2.0
// What the coordinator publishes at the end of each phase, and the recovery of the masks at the last.
#include <fmt/format.h>

#include <algorithm>

#include "protocols/crypto/x25519.h"
#include "protocols/secagg/check_tag.h"
#include "protocols/secagg/server_core.h"
#include "protocols/secagg/transcript.h"

namespace cloister::secagg {
namespace {

absl::Status TooFew(const SumParams& params, size_t have, size_t wanted, const char* what) {
  return absl::FailedPreconditionError(fmt::format("{}: {} {}, wanted {}", NameOf(params), have, what, wanted));
}

std::vector<Bytes> Values(const std::map<SiteId, Bytes>& by_site) {
  std::vector<Bytes> values;
  for (const auto& [site, bytes] : by_site) values.push_back(bytes);
  return values;
}

}  // namespace

absl::Status ServerSession::Core::CanCloseAdvertise() const {
  CLOISTER_RETURN_IF_ERROR(CheckCohort(params, static_cast<int>(advertised.size())));
  if (!params.graph.has_value()) return absl::OkStatus();
  std::vector<Member> members;
  for (const auto& [site, member] : advertised) members.push_back(member);
  return VerifiedRoster::FromMembers(params, ctx0, Values(AcceptedNow()), std::move(members)).status();
}

absl::Status ServerSession::Core::CanClose() const {
  const size_t answered = phase == ServerPhase::kDone ? 0 : AcceptedNow().size();
  const size_t quorum = roster.has_value() ? static_cast<size_t>(roster->quorum()) : 0;
  switch (phase) {
    case ServerPhase::kAdvertise:
      return CanCloseAdvertise();
    case ServerPhase::kShare:
      if (answered < quorum) return TooFew(params, answered, quorum, "sites shared their secrets");
      return roster->CheckReach(params, AnsweredIndices(), AnsweredIndices());
    case ServerPhase::kMaskedInput:
      if (answered < quorum) return TooFew(params, answered, quorum, "masked inputs");
      return roster->CheckReach(params, sharers, AnsweredIndices());
    case ServerPhase::kConsistency:
      if (answered < static_cast<size_t>(roster->threshold())) {
        return TooFew(params, answered, static_cast<size_t>(roster->threshold()), "confirmations of the survivors");
      }
      return absl::OkStatus();
    case ServerPhase::kUnmask:
      for (const size_t owner : sharers) {
        const size_t wanted = static_cast<size_t>(roster->neighbourhoods().threshold());
        const auto found = good_shares.find(owner);
        const size_t have = found == good_shares.end() ? 0 : found->second.size();
        if (have < wanted) {
          return Annotate(TooFew(params, have, wanted, "good shares"),
                          fmt::format("site {}", (*roster)[owner].site.value()));
        }
      }
      return absl::OkStatus();
    case ServerPhase::kDone:
      break;
  }
  return absl::FailedPreconditionError(fmt::format("{}: done", NameOf(params)));
}

absl::Status ServerSession::Core::CloseAdvertise() {
  std::vector<Member> members;
  for (const auto& [site, member] : advertised) members.push_back(member);
  CLOISTER_ASSIGN_OR_RETURN(VerifiedRoster verified,
                            VerifiedRoster::FromMembers(params, ctx0, Values(AcceptedNow()), std::move(members)));
  roster = std::move(verified);
  for (size_t owner = 0; owner < roster->size(); ++owner) holders.push_back(roster->neighbourhoods().HoldersOf(owner));
  roster_message = Encode(Roster{Values(AcceptedNow())});
  return absl::OkStatus();
}

void ServerSession::Core::CloseShare() {
  for (const auto& [owner, message] : shares) {
    sharers.push_back(owner);
    share_roots.push_back(message.root);
    std::vector<Digest> leaves;
    for (const SealedShare& share : message.entries) leaves.push_back(ShareLeaf(share));
    share_trees.emplace(owner, crypto::MerkleTree(leaves));
  }
  ctx2 = SharersContext(roster->ctx1(), roster->size(), sharers, share_roots);
}

size_t ServerSession::Core::PlaceOf(size_t owner, size_t holder) const {
  const auto place = std::lower_bound(holders[owner].begin(), holders[owner].end(), holder,
                                      [](const Holder& one, size_t member) { return one.member < member; });
  return static_cast<size_t>(place - holders[owner].begin());
}

bool ServerSession::Core::IsHolder(size_t owner, size_t holder) const {
  const size_t place = PlaceOf(owner, holder);
  return place < holders[owner].size() && holders[owner][place].member == holder;
}

Bytes ServerSession::Core::DeliveryFor(size_t recipient) const {
  ShareDelivery delivery{roster->ctx1(), share_roots, {}, {}};
  for (const size_t owner : sharers) {
    if (owner == recipient) continue;
    // What an owner dealt is in the order of the roster, in two lists: its neighbours, and the others.
    const size_t before = PlaceOf(owner, recipient);
    const Shares& dealt = shares.at(owner);
    if (IsHolder(owner, recipient)) {
      delivery.inbox.push_back({(*roster)[owner].site, dealt.entries[before], share_trees.at(owner).PathOf(before)});
    } else {
      delivery.check_envelopes +=
          dealt.check_envelopes.substr((recipient - before) * kCheckEnvelopeBytes, kCheckEnvelopeBytes);
    }
  }
  return Encode(delivery);
}

std::vector<size_t> ServerSession::Core::AnsweredIndices() const {
  std::vector<size_t> indices;
  for (const auto& [site, message] : AcceptedNow()) indices.push_back(roster->IndexOf(site).value());
  return indices;
}

void ServerSession::Core::CloseMaskedInput() {
  for (const auto& [site, commit] : commits) survivors.push_back(site);
  const std::vector<Bytes> messages = Values(AcceptedNow());
  survivor_digest = SurvivorDigest(ctx2, messages);
  survivor_list = Encode(SurvivorList{ctx2, messages});
}

void ServerSession::Core::CloseConsistency() {
  signature_set = Encode(SignatureSet{ctx2, Values(AcceptedNow())});
}

// Any threshold of good shares gives the same secret, unless the owner dealt shares that do not belong together.
absl::StatusOr<crypto::SecretBytes> ServerSession::Core::Recover(size_t owner) const {
  const Member& member = (*roster)[owner];
  const size_t wanted = static_cast<size_t>(roster->neighbourhoods().threshold());
  std::vector<std::pair<uint32_t, ShamirShare>> chosen;
  for (const auto& [position, share] : good_shares.at(owner)) {
    if (chosen.size() < wanted) chosen.emplace_back(position, share);
  }
  absl::StatusOr<crypto::SecretBytes> secret = RecoverSecret(chosen);
  bool holds = secret.ok();
  if (holds && Contains(survivors, owner)) {
    holds = SelfMaskCommitment(ctx0, member.site, *secret) == member.self_mask_commitment;
  } else if (holds) {
    holds = crypto::X25519KeyPair::FromSeed(secret->Clone()).value().public_key() == member.mask_key;
  }
  if (holds) return secret;
  return absl::DataLossError(fmt::format(
      "{}: the shares that site {} dealt and signed do not give what it advertised; the sum cannot be unmasked",
      NameOf(params), member.site.value()));
}

absl::Status ServerSession::Core::CloseUnmask() {
  std::vector<std::vector<MaskKey>> keys(params.vectors.size());
  uint64_t tags = 0;
  for (const auto& [survivor, commit] : commits) tags = FieldAdd(tags, commit.tag);
  for (const size_t owner : sharers) {
    const SiteId& site = (*roster)[owner].site;
    const absl::StatusOr<crypto::SecretBytes> secret = Recover(owner);
    if (!secret.ok()) {
      const std::string what(secret.status().message());
      if (blames.empty() || blames.back().what != what) blames.push_back({site, what});
      return secret.status();
    }
    if (Contains(survivors, owner)) {
      for (size_t i = 0; i < keys.size(); ++i) {
        keys[i].push_back({SelfMaskKey(ctx2, *secret, site, params.vectors[i].name), false});
      }
      tags = FieldSub(tags, TagMask(SelfMaskKey(ctx2, *secret, site, kCheckVector)));
      continue;
    }
    // A dropout: every survivor's mask with it is still in the sum, and is taken out with the opposite sign.
    CLOISTER_ASSIGN_OR_RETURN(const crypto::X25519KeyPair pair, crypto::X25519KeyPair::FromSeed(secret->Clone()));
    for (const auto& [survivor, x] : holders[owner]) {
      if (!Contains(survivors, survivor)) continue;
      const Member& member = (*roster)[survivor];
      CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes shared, pair.Derive(member.mask_key));
      for (size_t i = 0; i < keys.size(); ++i) {
        keys[i].push_back(
            {PairMaskKey(ctx2, shared, member.site, site, params.vectors[i].name), !AddsPairMask(member.site, site)});
      }
      const uint64_t of_pair = TagMask(PairMaskKey(ctx2, shared, member.site, site, kCheckVector));
      tags = AddsPairMask(member.site, site) ? FieldSub(tags, of_pair) : FieldAdd(tags, of_pair);
    }
  }
  unmasker.emplace(params.vectors, std::move(keys));
  tag = tags;
  good_shares.clear();
  return absl::OkStatus();
}

}  // namespace cloister::secagg
