// SPDX-License-Identifier: Apache-2.0
// The four messages of the coordinator, one function each: what is checked before the site says anything.
#include "protocols/secagg/client_core.h"

#include <fmt/format.h>

#include <algorithm>

#include <optional>

#include "protocols/secagg/graph.h"
#include "protocols/secagg/transcript.h"

namespace cloister::secagg {
namespace {

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

// The shares of `owner` that `entry` brings, or none when they do not open. Not OK: the coordinator altered the entry.
absl::StatusOr<std::optional<SharePair>> ReadInboxEntry(const Shared& state, const InboxEntry& entry, size_t owner,
                                                        const Digest& root) {
  const std::vector<size_t> holders = Neighbourhood(state.roster.size(), owner);
  const size_t position =
      static_cast<size_t>(std::lower_bound(holders.begin(), holders.end(), state.self) - holders.begin());
  const bool intact = entry.share.recipient == state.roster[state.self].site &&
                      crypto::MerklePathLeadsTo(root, ShareLeaf(entry.share), position, holders.size(), entry.path);
  if (!intact) {
    return absl::DataLossError(
        fmt::format("the share of site {} is not the one it signed for us", state.roster[owner].site.value()));
  }
  absl::StatusOr<SharePair> pair = OpenShares(state.secrets, state.roster, owner, state.self, entry.share);
  if (!pair.ok()) return std::optional<SharePair>();  // the owner's fault; others' shares of it may do
  return std::optional<SharePair>(*pair);
}

absl::StatusOr<std::vector<MaskStreams>> MakeStreams(const SumParams& params, const Shared& state, const Digest& ctx2,
                                                     const std::vector<size_t>& sharers) {
  const SiteId& site = state.roster[state.self].site;
  std::vector<std::vector<MaskKey>> keys(params.vectors.size());
  for (size_t i = 0; i < params.vectors.size(); ++i) {
    keys[i].push_back({SelfMaskKey(ctx2, state.secrets.self_mask, site, params.vectors[i].name), true});
  }
  for (const size_t peer : Neighbourhood(state.roster.size(), state.self)) {
    if (peer == state.self || !Contains(sharers, peer)) continue;
    const Member& member = state.roster[peer];
    CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes shared, state.secrets.mask.Derive(member.mask_key));
    for (size_t i = 0; i < params.vectors.size(); ++i) {
      keys[i].push_back(
          {PairMaskKey(ctx2, shared, site, member.site, params.vectors[i].name), AddsPairMask(site, member.site)});
    }
  }
  std::vector<MaskStreams> streams;
  for (const std::vector<MaskKey>& of_vector : keys) streams.push_back(MaskStreams::Create(of_vector));
  return streams;
}

std::vector<Reveal> ChooseReveals(const Committed& state, const std::vector<size_t>& survivors) {
  std::vector<Reveal> reveals;
  for (const size_t owner : Neighbourhood(state.roster.size(), state.self)) {
    if (!Contains(state.sharers, owner)) continue;
    Reveal reveal{state.roster[owner].site, NoShare{}};
    const auto pair = state.inbox.find(owner);
    if (pair != state.inbox.end()) {
      if (Contains(survivors, owner)) {
        reveal.share = SelfMaskShare{pair->second.self_mask};
      } else {
        reveal.share = KeyShare{pair->second.key};
      }
    }
    reveals.push_back(std::move(reveal));
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
  ClientStep step;
  CLOISTER_RETURN_IF_ERROR(Assert(step, "roster", roster.ctx1()));
  CLOISTER_ASSIGN_OR_RETURN(Dealing dealing, DealSecrets(now.secrets, signer, roster, *index));
  step.reply = Encode(dealing.message);
  Shared next{std::move(now.secrets), std::move(roster), *index, dealing.own, std::move(dealing.message.root)};
  state = std::move(next);
  return step;
}

absl::StatusOr<ClientStep> ClientSession::Core::On(Shared& now, const ShareDelivery& message) {
  CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.ctx1, now.roster.ctx1()));
  std::vector<SiteId> sites;
  std::vector<Digest> roots;
  for (const Bytes& bytes : message.roots) {
    CLOISTER_ASSIGN_OR_RETURN(const ShareRoot root, CheckShareRoot(params, now.roster, bytes));
    if (root.site == self && bytes != now.share_root) {
      return absl::AbortedError(fmt::format("{}: other shares of this site than it dealt", NameOf(params)));
    }
    sites.push_back(root.site);
    roots.push_back(root.root);
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<size_t> sharers, RisingIndices(now.roster, sites));
  CLOISTER_RETURN_IF_ERROR(CheckQuorum(params, now.roster, sharers.size(), "sites shared their secrets"));
  if (!Contains(sharers, now.self)) {
    return absl::AbortedError(fmt::format("{}: this site was left out of the sharers", NameOf(params)));
  }
  std::map<size_t, SharePair> inbox{{now.self, now.own}};
  size_t entry = 0;
  for (size_t i = 0; i < sharers.size(); ++i) {
    if (sharers[i] == now.self) continue;
    if (entry == message.inbox.size() || message.inbox[entry].owner != sites[i]) {
      return absl::DataLossError(fmt::format("{}: the share of site {} is missing", NameOf(params), sites[i].value()));
    }
    CLOISTER_ASSIGN_OR_RETURN(const std::optional<SharePair> pair,
                              ReadInboxEntry(now, message.inbox[entry++], sharers[i], roots[i]));
    if (pair.has_value()) inbox.emplace(sharers[i], *pair);
  }
  if (entry != message.inbox.size()) {
    return absl::DataLossError(fmt::format("{}: more shares than sharers", NameOf(params)));
  }
  const Digest ctx2 = SharersContext(now.roster.ctx1(), now.roster.size(), sharers, message.roots);
  ClientStep step;
  CLOISTER_RETURN_IF_ERROR(Assert(step, "u2", ctx2));
  CLOISTER_ASSIGN_OR_RETURN(std::vector<MaskStreams> streams, MakeStreams(params, now, ctx2, sharers));
  Masking next{std::move(now.roster),
               now.self,
               ctx2,
               sharers,
               std::move(inbox),
               std::move(streams),
               std::vector<Coverage>(params.vectors.size())};
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
  Confirmed next{std::move(now.roster), now.self, now.ctx2, std::move(now.sharers), survivors, digest,
                 std::move(reveals)};
  state = std::move(next);
  return step;
}

absl::StatusOr<ClientStep> ClientSession::Core::On(Confirmed& now, const SignatureSet& message) {
  CLOISTER_RETURN_IF_ERROR(CheckContext(params, message.ctx2, now.ctx2));
  std::vector<SiteId> sites;
  for (const Bytes& bytes : message.consistencies) {
    CLOISTER_ASSIGN_OR_RETURN(const Consistency consistency, CheckConsistency(params, now.roster, now.ctx2, bytes));
    if (consistency.survivors != now.survivor_digest) {
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
  Unmask unmask{now.ctx2, now.survivor_digest, self, std::move(now.reveals), {}};
  unmask.signature = signer.Sign(DomainOf(MessageType::kUnmask), SignedPart(unmask));
  ClientStep step;
  step.reply = Encode(unmask);
  CLOISTER_RETURN_IF_ERROR(Assert(step, "unmask", crypto::Sha256(*step.reply)));
  CLOISTER_RETURN_IF_ERROR(AssertKey(step, FactScope(params) + "closed", ctx0));
  Finished next{std::move(now.roster), std::move(now.sharers), std::move(now.survivors)};
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
  now->streams[index].Apply(offset, values);
  return absl::OkStatus();
}

template absl::Status ClientSession::Core::MaskElements(size_t, uint64_t, absl::Span<uint32_t>);
template absl::Status ClientSession::Core::MaskElements(size_t, uint64_t, absl::Span<uint64_t>);

absl::Status ClientSession::Core::CheckMasked(const Masking& now, const std::vector<VectorCommit>& vectors) const {
  bool fits = vectors.size() == params.vectors.size();
  for (size_t i = 0; fits && i < vectors.size(); ++i) fits = vectors[i].length == params.vectors[i].length;
  if (!fits) return absl::InvalidArgumentError(fmt::format("{}: not the plan's vectors", NameOf(params)));
  // A site that committed before it was killed may have its masked vectors on disk: the stored fact stands for the
  // masking.
  if (facts.count(KeyOf("masked")) > 0) return absl::OkStatus();
  for (size_t i = 0; i < vectors.size(); ++i) {
    if (!now.covered[i].IsAllOf(params.vectors[i].length)) {
      return absl::FailedPreconditionError(
          fmt::format("{}: vector {} is not masked from end to end", NameOf(params), params.vectors[i].name));
    }
  }
  return absl::OkStatus();
}

Bytes ClientSession::Core::CommitMessage(const Digest& ctx2, const std::vector<VectorCommit>& vectors) const {
  MaskedCommit commit{ctx2, self, vectors, {}};
  commit.signature = signer.Sign(DomainOf(MessageType::kMaskedCommit), SignedPart(commit));
  return Encode(commit);
}

absl::StatusOr<ClientStep> ClientSession::Core::CommitAgain(const Committed& now,
                                                            const std::vector<VectorCommit>& vectors) {
  ClientStep step;
  step.reply = CommitMessage(now.ctx2, vectors);
  if (absl::Status agrees = Assert(step, "masked", crypto::Sha256(*step.reply)); !agrees.ok()) {
    return Abort(std::move(agrees));
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
