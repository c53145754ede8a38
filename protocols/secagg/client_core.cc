// SPDX-License-Identifier: Apache-2.0
// The four messages of the coordinator, one function each: what is checked before the site says anything.
#include "protocols/secagg/client_core.h"

#include <fmt/format.h>

#include <algorithm>

#include <optional>

#include "protocols/secagg/culprit.h"
#include "protocols/secagg/transcript.h"

namespace cloister::secagg {
namespace {

// One member beyond the colluders knows that the models are what plan and sums give: one honest site has checked.
absl::Status CheckModels(const SumParams& params, const VerifiedRoster& roster) {
  const auto checked = std::count_if(roster.members().begin(), roster.members().end(),
                                     [](const Member& member) { return member.models_checked; });
  if (checked > params.colluders) return absl::OkStatus();
  return absl::AbortedError(
      fmt::format("{}: {} sites of the roster have checked that the models follow from the sums before, wanted {}",
                  NameOf(params), checked, params.colluders + 1));
}

absl::Status CheckContext(const SumParams& params, const Digest& said, const Digest& ours) {
  if (said == ours) return absl::OkStatus();
  return absl::AbortedError(fmt::format("{}: the coordinator speaks of another roster or set of sharers ({}, here {})",
                                        NameOf(params), said.short_hex(), ours.short_hex()));
}

absl::Status CheckQuorum(const SumParams& params, const VerifiedRoster& roster, size_t found, const char* what) {
  if (found >= static_cast<size_t>(roster.quorum())) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: {} {}, wanted {}", NameOf(params), found, what, roster.quorum()));
}

// What `owner` dealt to this site. DATA_LOSS: the coordinator altered it, or it is not what the owner signed.
absl::StatusOr<DealtShare> ReadInboxEntry(const Shared& state, const InboxEntry& entry, size_t owner,
                                          const ShareRoot& root) {
  const std::vector<Holder> holders = state.roster.neighbourhoods().HoldersOf(owner);
  const auto place =
      std::find_if(holders.begin(), holders.end(), [&](const Holder& holder) { return holder.member == state.self; });
  const size_t position = static_cast<size_t>(place - holders.begin());
  const bool intact =
      entry.share.recipient == state.roster[state.self].site &&
      crypto::MerklePathLeadsTo(root.root, ShareLeaf(entry.share), position, holders.size(), entry.path);
  if (!intact) {
    return absl::DataLossError(
        fmt::format("the share of site {} is not the one it signed for us", state.roster[owner].site.value()));
  }
  absl::StatusOr<DealtShare> dealt = OpenShares(state.secrets, state.roster, owner, state.self, entry.share, root);
  if (dealt.ok()) return dealt;
  const SiteId& dealer = state.roster[owner].site;
  return WithCulprit(Annotate(dealt.status(), fmt::format("the share of site {}", dealer.value())), dealer);
}

// What the sharers dealt to this site: shares from its neighbours, a part of the check seed from everybody.
struct Inbox {
  std::map<size_t, SharePair> shares;  // by owner, ours included
  std::vector<crypto::SecretBytes> check_parts;
};

// DATA_LOSS: something is missing, altered or left over.
absl::StatusOr<Inbox> ReadInbox(const SumParams& params, Shared& state, const ShareDelivery& message,
                                const std::vector<size_t>& sharers, const std::vector<ShareRoot>& roots) {
  std::vector<size_t> neighbours;
  for (const auto& [member, x] : state.roster.neighbourhoods().HoldersOf(state.self)) neighbours.push_back(member);
  Inbox inbox;
  inbox.shares.emplace(state.self, state.own.pair);
  size_t entry = 0;
  ByteView envelopes = message.check_envelopes;
  for (size_t i = 0; i < sharers.size(); ++i) {
    const SiteId& owner = roots[i].site;
    if (sharers[i] == state.self) {
      inbox.check_parts.push_back(std::move(state.own.check_part));
    } else if (Contains(neighbours, sharers[i])) {
      if (entry == message.inbox.size() || message.inbox[entry].owner != owner) {
        return absl::DataLossError(fmt::format("{}: the share of site {} is missing", NameOf(params), owner.value()));
      }
      CLOISTER_ASSIGN_OR_RETURN(DealtShare dealt, ReadInboxEntry(state, message.inbox[entry++], sharers[i], roots[i]));
      inbox.shares.emplace(sharers[i], dealt.pair);
      inbox.check_parts.push_back(std::move(dealt.check_part));
    } else {
      if (envelopes.empty()) {
        return absl::DataLossError(
            fmt::format("{}: the part of the check seed of site {} is missing", NameOf(params), owner.value()));
      }
      absl::StatusOr<crypto::SecretBytes> part = OpenCheckPart(state.secrets, state.roster, sharers[i], state.self,
                                                               envelopes.substr(0, kCheckEnvelopeBytes), roots[i]);
      if (!part.ok()) {
        return Annotate(part.status(), fmt::format("the part of the check seed of site {}", owner.value()));
      }
      inbox.check_parts.push_back(*std::move(part));
      envelopes.remove_prefix(kCheckEnvelopeBytes);
    }
  }
  if (entry != message.inbox.size() || !envelopes.empty()) {
    return absl::DataLossError(fmt::format("{}: more shares than sharers", NameOf(params)));
  }
  return inbox;
}

struct Masks {
  std::vector<MaskStreams> streams;  // by vector
  uint64_t of_tag = 0;               // all of them added up
};

absl::StatusOr<Masks> MakeMasks(const SumParams& params, const Shared& state, const Digest& ctx2,
                                const std::vector<size_t>& sharers) {
  const SiteId& site = state.roster[state.self].site;
  std::vector<std::vector<MaskKey>> keys(params.vectors.size());
  for (size_t i = 0; i < params.vectors.size(); ++i) {
    keys[i].push_back({SelfMaskKey(ctx2, state.secrets.self_mask, site, params.vectors[i].name), true});
  }
  Masks masks;
  masks.of_tag = TagMask(SelfMaskKey(ctx2, state.secrets.self_mask, site, kCheckVector));
  for (const auto& [peer, x] : state.roster.neighbourhoods().HoldersOf(state.self)) {
    if (peer == state.self || !Contains(sharers, peer)) continue;
    const Member& member = state.roster[peer];
    CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes shared, state.secrets.mask.Derive(member.mask_key));
    for (size_t i = 0; i < params.vectors.size(); ++i) {
      keys[i].push_back(
          {PairMaskKey(ctx2, shared, site, member.site, params.vectors[i].name), AddsPairMask(site, member.site)});
    }
    const uint64_t of_pair = TagMask(PairMaskKey(ctx2, shared, site, member.site, kCheckVector));
    masks.of_tag = AddsPairMask(site, member.site) ? FieldAdd(masks.of_tag, of_pair) : FieldSub(masks.of_tag, of_pair);
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    masks.streams.push_back(MaskStreams::Create(keys[i], params.vectors[i].ring_bits));
  }
  return masks;
}

std::vector<Reveal> ChooseReveals(const Committed& state, const std::vector<size_t>& survivors) {
  std::vector<Reveal> reveals;
  for (const auto& [owner, x] : state.roster.neighbourhoods().HoldersOf(state.self)) {
    if (!Contains(state.sharers, owner)) continue;
    const SharePair& pair = state.inbox.at(owner);
    if (Contains(survivors, owner)) {
      reveals.push_back({state.roster[owner].site, SelfMaskShare{pair.self_mask}});
    } else {
      reveals.push_back({state.roster[owner].site, KeyShare{pair.key}});
    }
  }
  return reveals;
}

}  // namespace

bool Coverage::Add(uint64_t begin, uint64_t end) {
  if (begin >= end) return true;
  auto next = ends_.lower_bound(begin);
  if (next != ends_.end() && next->first < end) return false;
  auto previous = next;
  const bool has_previous = next != ends_.begin();
  if (has_previous && (--previous)->second > begin) return false;
  if (next != ends_.end() && next->first == end) {
    end = next->second;
    ends_.erase(next);
  }
  if (has_previous && previous->second == begin) {
    previous->second = end;
  } else {
    ends_[begin] = end;
  }
  return true;
}

absl::StatusOr<ClientStep> ClientSession::Core::On(Advertised& now, const Roster& message) {
  CLOISTER_ASSIGN_OR_RETURN(VerifiedRoster roster, VerifiedRoster::Create(params, ctx0, trust, message.adverts));
  const std::optional<size_t> index = roster.IndexOf(self);
  if (!index.has_value()) {
    return absl::AbortedError(fmt::format("{}: this site was left out of the roster", NameOf(params)));
  }
  if (message.adverts[*index] != now.advert) {
    return absl::AbortedError(fmt::format("{}: the roster has another advert of this site", NameOf(params)));
  }
  CLOISTER_RETURN_IF_ERROR(CheckModels(params, roster));
  ClientStep step;
  CLOISTER_RETURN_IF_ERROR(Assert(step, "roster", roster.ctx1()));
  CLOISTER_ASSIGN_OR_RETURN(Dealing dealing, DealSecrets(now.secrets, signer, roster, *index));
  step.reply = Encode(dealing.message);
  Shared next{std::move(now.secrets), std::move(roster), *index, std::move(dealing.own),
              std::move(dealing.message.root)};
  state = std::move(next);
  return step;
}

absl::StatusOr<ClientStep> ClientSession::Core::On(Shared& now, const ShareDelivery& message) {
  CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.ctx1, now.roster.ctx1()));
  std::vector<SiteId> sites;
  std::vector<ShareRoot> roots;
  for (const Bytes& bytes : message.roots) {
    CLOISTER_ASSIGN_OR_RETURN(ShareRoot root, CheckShareRoot(params, now.roster, bytes));
    if (root.site == self && bytes != now.share_root) {
      return absl::AbortedError(fmt::format("{}: other shares of this site than it dealt", NameOf(params)));
    }
    sites.push_back(root.site);
    roots.push_back(std::move(root));
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<size_t> sharers, RisingIndices(now.roster, sites));
  CLOISTER_RETURN_IF_ERROR(CheckQuorum(params, now.roster, sharers.size(), "sites shared their secrets"));
  if (!Contains(sharers, now.self)) {
    return absl::AbortedError(fmt::format("{}: this site was left out of the sharers", NameOf(params)));
  }
  CLOISTER_RETURN_IF_ERROR(now.roster.CheckReach(params, sharers, sharers));
  CLOISTER_ASSIGN_OR_RETURN(Inbox inbox, ReadInbox(params, now, message, sharers, roots));
  const Digest ctx2 = SharersContext(now.roster.ctx1(), now.roster.size(), sharers, message.roots);
  ClientStep step;
  CLOISTER_RETURN_IF_ERROR(Assert(step, "u2", ctx2));
  CLOISTER_ASSIGN_OR_RETURN(Masks masks, MakeMasks(params, now, ctx2, sharers));
  crypto::SecretBytes check_seed = CheckSeed(ctx2, inbox.check_parts);
  CheckTag tag(check_seed, params.vectors);
  Masking next{std::move(now.roster),
               now.self,
               ctx2,
               sharers,
               std::move(inbox.shares),
               std::move(masks.streams),
               std::vector<Coverage>(params.vectors.size()),
               std::move(check_seed),
               std::move(tag),
               masks.of_tag};
  state = std::move(next);
  return step;
}

absl::StatusOr<ClientStep> ClientSession::Core::On(Committed& now, const SurvivorList& message) {
  CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.ctx2, now.ctx2));
  std::vector<SiteId> sites;
  bool ours_is_there = false;
  for (const Bytes& bytes : message.commits) {
    CLOISTER_ASSIGN_OR_RETURN(const MaskedCommit commit, CheckCommit(params, now.roster, now.ctx2, bytes));
    if (commit.site == self && bytes != now.commit) {
      return absl::AbortedError(fmt::format("{}: another commit of this site than it made", NameOf(params)));
    }
    ours_is_there = ours_is_there || commit.site == self;
    sites.push_back(commit.site);
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<size_t> survivors, RisingIndices(now.roster, sites));
  for (const size_t survivor : survivors) {
    if (!Contains(now.sharers, survivor)) {
      return absl::AbortedError(
          fmt::format("{}: survivor {} never shared its secrets", NameOf(params), now.roster[survivor].site.value()));
    }
  }
  CLOISTER_RETURN_IF_ERROR(CheckQuorum(params, now.roster, survivors.size(), "survivors"));
  CLOISTER_RETURN_IF_ERROR(now.roster.CheckReach(params, now.sharers, survivors));
  if (!ours_is_there) {
    return absl::AbortedError(fmt::format("{}: this site was left out of the survivors", NameOf(params)));
  }
  ClientStep step;
  const Digest digest = SurvivorDigest(now.ctx2, message.commits);
  CLOISTER_RETURN_IF_ERROR(Assert(step, "survivors", digest));
  Consistency consistency{now.ctx2, self, digest, {}};
  consistency.signature = signer.Sign(DomainOf(MessageType::kConsistency), SignedPart(consistency));
  step.reply = Encode(consistency);
  std::vector<Reveal> reveals = ChooseReveals(now, survivors);
  Confirmed next{std::move(now.roster),
                 now.self,
                 now.ctx2,
                 std::move(now.sharers),
                 survivors,
                 std::move(reveals),
                 {now.ctx2, digest, std::move(now.check_seed)}};
  state = std::move(next);
  return step;
}

absl::StatusOr<ClientStep> ClientSession::Core::On(Confirmed& now, const SignatureSet& message) {
  CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.ctx2, now.ctx2));
  std::vector<SiteId> sites;
  for (const Bytes& bytes : message.consistencies) {
    CLOISTER_ASSIGN_OR_RETURN(const Consistency consistency, CheckConsistency(params, now.roster, now.ctx2, bytes));
    if (consistency.survivors != now.check.survivors) {
      return absl::AbortedError(
          fmt::format("{}: site {} signed another list of survivors: the coordinator told two "
                      "stories",
                      NameOf(params), consistency.site.value()));
    }
    sites.push_back(consistency.site);
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<size_t> signers, RisingIndices(now.roster, sites));
  for (const size_t signing : signers) {
    if (!Contains(now.survivors, signing)) {
      return absl::AbortedError(fmt::format("{}: site {} confirms survivors without being one", NameOf(params),
                                            now.roster[signing].site.value()));
    }
  }
  if (signers.size() < static_cast<size_t>(now.roster.threshold())) {
    return absl::FailedPreconditionError(fmt::format("{}: {} sites confirmed the survivors, wanted {}", NameOf(params),
                                                     signers.size(), now.roster.threshold()));
  }
  Unmask unmask{now.ctx2, now.check.survivors, self, std::move(now.reveals), {}};
  unmask.signature = signer.Sign(DomainOf(MessageType::kUnmask), SignedPart(unmask));
  ClientStep step;
  step.reply = Encode(unmask);
  CLOISTER_RETURN_IF_ERROR(Assert(step, "unmask", crypto::Sha256(*step.reply)));
  CLOISTER_RETURN_IF_ERROR(AssertKey(step, FactScope(params) + "closed", ctx0));
  Finished next{std::move(now.roster), std::move(now.sharers), std::move(now.survivors), std::move(now.check)};
  state = std::move(next);
  return step;
}

template <typename T>
absl::Status ClientSession::Core::MaskElements(size_t index, uint64_t offset, absl::Span<T> values) {
  auto* now = std::get_if<Masking>(&state);
  if (now == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("{}: nothing to mask while {}", NameOf(params), NameOf(static_cast<ClientPhase>(state.index()))));
  }
  CLOISTER_RETURN_IF_ERROR(CheckRange(params.vectors, index, offset, values.size(), 8 * sizeof(T)));
  if (!now->covered[index].Add(offset, offset + values.size())) {
    return absl::InvalidArgumentError(fmt::format("{}: elements from {} of vector {} were masked before",
                                                  NameOf(params), offset, params.vectors[index].name));
  }
  now->tag.Add(index, offset, absl::Span<const T>(values));
  now->streams[index].Apply(offset, values);
  return absl::OkStatus();
}

template absl::Status ClientSession::Core::MaskElements(size_t, uint64_t, absl::Span<uint32_t>);
template absl::Status ClientSession::Core::MaskElements(size_t, uint64_t, absl::Span<uint64_t>);

absl::Status ClientSession::Core::CheckMasked(const Masking& now, const std::vector<VectorCommit>& vectors) const {
  bool fits = vectors.size() == params.vectors.size();
  for (size_t i = 0; fits && i < vectors.size(); ++i) fits = vectors[i].length == params.vectors[i].length;
  if (!fits) return absl::InvalidArgumentError(fmt::format("{}: not the plan's vectors", NameOf(params)));
  for (size_t i = 0; i < vectors.size(); ++i) {
    if (!now.covered[i].IsAllOf(params.vectors[i].length)) {
      return absl::FailedPreconditionError(
          fmt::format("{}: vector {} is not masked from end to end", NameOf(params), params.vectors[i].name));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ClientStep> ClientSession::Core::CommitTo(Bytes commit) {
  ClientStep step;
  step.reply = std::move(commit);
  if (absl::Status agrees = Assert(step, "masked", crypto::Sha256(*step.reply)); !agrees.ok()) {
    return Abort(std::move(agrees));
  }
  if (auto* now = std::get_if<Masking>(&state)) {
    Committed next{std::move(now->roster),     now->self,  now->ctx2, std::move(now->sharers), std::move(now->inbox),
                   std::move(now->check_seed), *step.reply};
    state = std::move(next);
  }
  return step;
}

const VerifiedRoster* ClientSession::Core::KnownRoster() const {
  if (const auto* now = std::get_if<Shared>(&state)) return &now->roster;
  if (const auto* now = std::get_if<Masking>(&state)) return &now->roster;
  if (const auto* now = std::get_if<Committed>(&state)) return &now->roster;
  if (const auto* now = std::get_if<Confirmed>(&state)) return &now->roster;
  if (const auto* now = std::get_if<Finished>(&state)) return &now->roster;
  return nullptr;
}

absl::Status ClientSession::Core::Assert(ClientStep& step, const std::string& what, const Digest& value) {
  return AssertKey(step, KeyOf(what), value);
}

absl::Status ClientSession::Core::AssertKey(ClientStep& step, const std::string& key, const Digest& value) {
  const auto [stored, is_new] = facts.emplace(key, value);
  if (!is_new && stored->second != value) {
    return absl::AbortedError(fmt::format("{}: contradicts what this site stored before ({} is {}, now {})",
                                          NameOf(params), key, stored->second.short_hex(), value.short_hex()));
  }
  step.facts.push_back({key, value});
  return absl::OkStatus();
}

std::string ClientSession::Core::KeyOf(const std::string& what) const {
  return fmt::format("{}{}/{}", FactScope(params), params.attempt, what);
}

absl::Status ClientSession::Core::Abort(absl::Status why) {
  state = Aborted{why};
  answered.clear();
  return why;
}

}  // namespace cloister::secagg
