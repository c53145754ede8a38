#pragma once
// SPDX-License-Identifier: Apache-2.0
// A coordinator at work on what it heard: it puts shares together, derives every mask that it can and solves for single
// vectors. What it does not find, keys of 128 bits and more protect.

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "protocols/secagg/dealing.h"
#include "protocols/secagg/transcript.h"
#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {

// Of the bytes of `values` against the uniform distribution over 256 values: 255 degrees of freedom, so 255 +- 23 for
// random bytes.
inline double ChiSquareOfBytes(const std::vector<uint32_t>& values) {
  std::array<double, 256> counts{};
  for (const char byte : BytesOf(values)) counts[static_cast<uint8_t>(byte)] += 1;
  const double expected = static_cast<double>(values.size()) * sizeof(uint32_t) / 256;
  double chi_square = 0;
  for (const double count : counts) chi_square += (count - expected) * (count - expected) / expected;
  return chi_square;
}

// Works on the first vector of a sum, "update".
class Extractor {
 public:
  using Vector = std::vector<uint32_t>;

  // Everything the coordinator told this site and heard from it.
  void Hear(const TestSite& site) {
    for (const Conversation& conversation : site.conversations()) Hear(site.id(), conversation);
  }
  // And everything that this site knows: it conspires with the coordinator.
  void Corrupt(const TestSite& site) {
    Hear(site);
    plain_[site.id()] = site.plain().update;
    for (const Conversation& conversation : site.conversations()) {
      const Digest ctx0 = ContextOf(conversation.params);
      conspirators_.emplace(std::pair(ctx0, site.id()), DeriveSecrets(ctx0, site.id(), site.Inputs().job_secret));
    }
  }

  // Every upload of `victim`, each keystream taken off that can be derived.
  std::vector<Vector> Residues(const SiteId& victim) {
    DeriveAll();
    std::vector<Vector> residues;
    for (const auto& [ctx2, story] : stories_) {
      for (const auto& [site, upload] : story.uploads) {
        if (story.roster[site].site == victim) residues.push_back(Residue(ctx2, story, site));
      }
    }
    return residues;
  }

  // Every sum of vectors that comes out without a mask, by whose they are, and every difference of two such sums. The
  // conspirators' own vectors, which are known, are taken out.
  std::map<std::set<SiteId>, Vector> Sums() {
    DeriveAll();
    std::map<std::set<SiteId>, Vector> sums;
    for (const auto& [ctx2, story] : stories_) AddSumsOf(ctx2, story, sums);
    for (bool grown = true; grown;) {
      grown = false;
      for (const auto& [part, part_sum] : std::map(sums)) {
        for (const auto& [whole, whole_sum] : std::map(sums)) {
          if (part.size() >= whole.size() || !std::includes(whole.begin(), whole.end(), part.begin(), part.end())) {
            continue;
          }
          std::set<SiteId> rest;
          std::set_difference(whole.begin(), whole.end(), part.begin(), part.end(), std::inserter(rest, rest.end()));
          grown = sums.emplace(rest, Minus(whole_sum, part_sum)).second || grown;
        }
      }
    }
    return sums;
  }

 private:
  // Who has which keys, and what is known of the shares that they dealt.
  struct Cohort {
    Digest ctx0;
    VerifiedRoster roster;
    std::map<size_t, Shares> dealt;                                                   // by owner
    std::map<std::pair<size_t, RevealKind>, std::map<uint32_t, ShamirShare>> shares;  // by owner, then position
  };
  // Sites that mask under one ctx2.
  struct Story {
    Digest ctx0;
    VerifiedRoster roster;
    std::vector<size_t> sharers;
    std::map<size_t, Vector> uploads;
  };
  using Owner = std::pair<Digest, SiteId>;  // ctx0 and site: who has a secret

  void Hear(const SiteId& site, const Conversation& conversation) {
    const Digest ctx0 = ContextOf(conversation.params);
    Cohort* cohort = nullptr;
    for (const Bytes& message : conversation.told) {
      const auto roster = DecodeRoster(message);
      if (roster.ok() && cohort == nullptr) cohort = CohortOf(conversation.params, ctx0, roster->adverts);
      const auto delivery = DecodeShareDelivery(message);
      if (delivery.ok() && cohort != nullptr) AddStory(*cohort, *delivery);
    }
    if (cohort == nullptr) return;
    const std::optional<size_t> index = cohort->roster.IndexOf(site);
    for (const Bytes& message : conversation.said) {
      if (const auto shares = DecodeShares(message); shares.ok()) cohort->dealt[*index] = *shares;
      if (const auto commit = DecodeMaskedCommit(message); commit.ok()) {
        stories_.at(commit->ctx2).uploads[*index] = conversation.uploaded.update;
      }
      if (const auto unmask = DecodeUnmask(message); unmask.ok()) {
        for (const Reveal& reveal : unmask->reveals) AddShare(*cohort, *index, reveal);
      }
    }
  }

  // Null: a roster that no session accepts.
  Cohort* CohortOf(const SumParams& params, const Digest& ctx0, const std::vector<Bytes>& adverts) {
    auto roster = VerifiedRoster::Create(params, ctx0, {SharedConsortium().ca(), kTestNow}, adverts);
    if (!roster.ok()) return nullptr;
    const Digest ctx1 = roster->ctx1();
    return &cohorts_.emplace(ctx1, Cohort{ctx0, *std::move(roster), {}, {}}).first->second;
  }

  void AddStory(const Cohort& cohort, const ShareDelivery& delivery) {
    std::vector<SiteId> sites;
    for (const Bytes& root : delivery.roots) sites.push_back(DecodeShareRoot(root).value().site);
    const auto sharers = RisingIndices(cohort.roster, sites);
    if (!sharers.ok()) return;
    const Digest ctx2 = SharersContext(cohort.roster.ctx1(), cohort.roster.size(), *sharers, delivery.roots);
    stories_.emplace(ctx2, Story{cohort.ctx0, cohort.roster, *sharers, {}});
  }

  static void AddShare(Cohort& cohort, size_t holder, const Reveal& reveal) {
    const size_t owner = cohort.roster.IndexOf(reveal.owner).value();
    uint32_t position = 0;
    for (const auto& [member, x] : cohort.roster.neighbourhoods().HoldersOf(owner)) {
      if (member == holder) position = x;
    }
    if (const auto* self_mask = std::get_if<SelfMaskShare>(&reveal.share)) {
      cohort.shares[{owner, RevealKind::kSelfMask}].emplace(position, self_mask->share);
    } else {
      cohort.shares[{owner, RevealKind::kKey}].emplace(position, std::get<KeyShare>(reveal.share).share);
    }
  }

  void DeriveAll() {
    for (const auto& [owner, secrets] : conspirators_) {
      self_masks_.emplace(owner, secrets.self_mask.Clone());
      mask_keys_.emplace(owner, crypto::X25519KeyPair::FromSeed(secrets.mask.seed().Clone()).value());
    }
    for (auto& [ctx1, cohort] : cohorts_) {
      for (const auto& [conspirator, secrets] : conspirators_) {
        if (conspirator.first == cohort.ctx0) OpenEnvelopes(cohort, conspirator.second, secrets);
      }
      for (const auto& [what, shares] : cohort.shares) Recover(cohort, what, shares);
    }
  }

  // All that was sealed for a conspirator, whether the coordinator passed it on or not.
  static void OpenEnvelopes(Cohort& cohort, const SiteId& conspirator, const SiteSecrets& secrets) {
    const std::optional<size_t> self = cohort.roster.IndexOf(conspirator);
    if (!self.has_value()) return;
    for (const auto& [owner, shares] : cohort.dealt) {
      const auto entry = std::find_if(shares.entries.begin(), shares.entries.end(),
                                      [&](const SealedShare& share) { return share.recipient == conspirator; });
      if (owner == *self || entry == shares.entries.end()) continue;
      const ShareRoot root = DecodeShareRoot(shares.root).value();
      const auto dealt = OpenShares(secrets, cohort.roster, owner, *self, *entry, root);
      if (!dealt.ok()) continue;
      AddShare(cohort, *self, {cohort.roster[owner].site, SelfMaskShare{dealt->pair.self_mask}});
      AddShare(cohort, *self, {cohort.roster[owner].site, KeyShare{dealt->pair.key}});
    }
  }

  void Recover(const Cohort& cohort, const std::pair<size_t, RevealKind>& what,
               const std::map<uint32_t, ShamirShare>& shares) {
    const size_t threshold = static_cast<size_t>(cohort.roster.neighbourhoods().threshold());
    if (shares.size() < threshold) return;
    const auto end = std::next(shares.begin(), static_cast<long>(threshold));
    auto secret = RecoverSecret({shares.begin(), end});
    if (!secret.ok()) return;
    const Owner owner(cohort.ctx0, cohort.roster[what.first].site);
    if (what.second == RevealKind::kSelfMask) {
      self_masks_.emplace(owner, *std::move(secret));
    } else {
      mask_keys_.emplace(owner, crypto::X25519KeyPair::FromSeed(*std::move(secret)).value());
    }
  }

  // What takes the stream that sites i and j share off i's upload: either end's key will do.
  std::optional<MaskKey> PairKey(const Digest& ctx2, const Story& story, size_t i, size_t j) const {
    for (const auto& [own, peer] : {std::pair(i, j), std::pair(j, i)}) {
      const auto found = mask_keys_.find({story.ctx0, story.roster[own].site});
      if (found == mask_keys_.end()) continue;
      const crypto::SecretBytes shared = found->second.Derive(story.roster[peer].mask_key).value();
      const SiteId& site = story.roster[i].site;
      const SiteId& other = story.roster[j].site;
      return MaskKey{PairMaskKey(ctx2, shared, site, other, "update"), !AddsPairMask(site, other)};
    }
    return std::nullopt;
  }

  // The sharers that `site` masks with.
  static std::vector<size_t> PeersOf(const Story& story, size_t site) {
    std::vector<size_t> peers;
    for (const auto& [member, x] : story.roster.neighbourhoods().HoldersOf(site)) {
      if (member != site && Contains(story.sharers, member)) peers.push_back(member);
    }
    return peers;
  }

  Vector Residue(const Digest& ctx2, const Story& story, size_t site) const {
    std::vector<MaskKey> keys;
    const SiteId& id = story.roster[site].site;
    if (const auto found = self_masks_.find({story.ctx0, id}); found != self_masks_.end()) {
      keys.push_back({SelfMaskKey(ctx2, found->second, id, "update"), false});
    }
    for (const size_t peer : PeersOf(story, site)) {
      if (auto key = PairKey(ctx2, story, site, peer); key.has_value()) keys.push_back(*std::move(key));
    }
    Vector residue = story.uploads.at(site);
    MaskStreams::Create(keys).Apply(0, absl::Span<uint32_t>(residue));
    return residue;
  }

  // Streams between two uploads cancel in their sum. So uploads fall into groups by the streams that are not known, and
  // the sum of a group is free of masks when none of these leads out of it and the own mask of each is known.
  void AddSumsOf(const Digest& ctx2, const Story& story, std::map<std::set<SiteId>, Vector>& sums) const {
    std::set<size_t> left;
    for (const auto& [site, upload] : story.uploads) left.insert(site);
    while (!left.empty()) {
      std::set<size_t> group;
      std::vector<size_t> found = {*left.begin()};
      bool is_free = true;
      while (!found.empty()) {
        const size_t site = found.back();
        found.pop_back();
        if (!group.insert(site).second) continue;
        left.erase(site);
        is_free = is_free && self_masks_.count({story.ctx0, story.roster[site].site}) > 0;
        for (const size_t peer : PeersOf(story, site)) {
          if (PairKey(ctx2, story, site, peer).has_value()) continue;
          is_free = is_free && story.uploads.count(peer) > 0;
          if (story.uploads.count(peer) > 0) found.push_back(peer);
        }
      }
      if (is_free) AddSum(ctx2, story, group, sums);
    }
  }

  void AddSum(const Digest& ctx2, const Story& story, const std::set<size_t>& group,
              std::map<std::set<SiteId>, Vector>& sums) const {
    std::set<SiteId> whose;
    Vector sum(story.uploads.begin()->second.size());
    for (const size_t site : group) {
      const Vector residue = Residue(ctx2, story, site);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += residue[i];
      const auto known = plain_.find(story.roster[site].site);
      if (known == plain_.end()) {
        whose.insert(story.roster[site].site);
      } else {
        sum = Minus(sum, known->second);
      }
    }
    if (!whose.empty()) sums.emplace(std::move(whose), std::move(sum));
  }

  static Vector Minus(Vector a, const Vector& b) {
    for (size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
    return a;
  }

  std::map<Digest, Cohort> cohorts_;  // by ctx1
  std::map<Digest, Story> stories_;   // by ctx2
  std::map<Owner, SiteSecrets> conspirators_;
  std::map<SiteId, Vector> plain_;  // of the conspirators
  std::map<Owner, crypto::SecretBytes> self_masks_;
  std::map<Owner, crypto::X25519KeyPair> mask_keys_;
};

}  // namespace cloister::secagg
