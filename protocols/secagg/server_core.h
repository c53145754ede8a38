#pragma once
// SPDX-License-Identifier: Apache-2.0
// The state inside ServerSession: what was accepted so far, and one Take...() and one Close...() per phase.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocols/crypto/merkle_tree.h"
#include "protocols/secagg/roster.h"
#include "protocols/secagg/server_session.h"

namespace cloister::secagg {

struct ServerSession::Core {
  SumParams params;
  Trust trust;
  std::vector<SiteId> expected;  // sorted
  Digest ctx0;
  ServerPhase phase = ServerPhase::kAdvertise;

  // By phase: the messages, verbatim where they are published; their digests where they are not, and large.
  std::map<SiteId, Bytes> accepted[5];
  std::vector<Blame> blames;

  std::map<SiteId, Member> advertised;   // while kAdvertise
  std::optional<VerifiedRoster> roster;  // from kShare on
  Bytes roster_message;
  std::vector<std::vector<Holder>> holders;  // by owner
  std::map<size_t, Shares> shares;           // by owner
  std::vector<size_t> sharers;               // U2
  Digest ctx2;
  std::map<size_t, crypto::MerkleTree> share_trees;  // by owner in U2
  std::vector<Bytes> share_roots;                    // of U2
  std::map<size_t, MaskedCommit> commits;
  std::vector<size_t> survivors;  // U3
  Digest survivor_digest;
  Bytes survivor_list;
  Bytes signature_set;
  // By owner: the shares that match what the owner signed, by position.
  std::map<size_t, std::map<uint32_t, ShamirShare>> good_shares;
  std::optional<Unmasker> unmasker;
  uint64_t tag = 0;  // of the sum, in kDone

  std::map<SiteId, Bytes>& AcceptedNow() { return accepted[static_cast<size_t>(phase)]; }
  const std::map<SiteId, Bytes>& AcceptedNow() const { return accepted[static_cast<size_t>(phase)]; }

  // Who may answer in the current phase, by id.
  std::vector<SiteId> Asked() const;
  absl::Status Take(const SiteId& from, ByteView message);
  absl::Status TakeAdvert(const SiteId& from, ByteView message);
  absl::Status TakeShares(const SiteId& from, ByteView message);
  absl::Status TakeCommit(const SiteId& from, ByteView message);
  absl::Status TakeConsistency(const SiteId& from, ByteView message);
  absl::Status TakeUnmask(const SiteId& from, ByteView message);
  // Keeps one revealed share when it matches its hash, and names who is wrong when not.
  void TakeReveal(size_t holder, size_t owner, const Reveal& reveal);

  // The place of `holder` among those that hold shares of `owner`, or where it would be.
  size_t PlaceOf(size_t owner, size_t holder) const;
  bool IsHolder(size_t owner, size_t holder) const;
  // What everybody has dealt to `recipient`, which is in U2. Made when asked for: all of them together are large.
  Bytes DeliveryFor(size_t recipient) const;
  // The roster's indices of those who answered in the current phase.
  std::vector<size_t> AnsweredIndices() const;
  absl::Status CanCloseAdvertise() const;
  absl::Status CanClose() const;
  absl::Status CloseAdvertise();
  void CloseShare();
  void CloseMaskedInput();
  void CloseConsistency();
  absl::Status CloseUnmask();
  absl::StatusOr<crypto::SecretBytes> Recover(size_t owner) const;
};

}  // namespace cloister::secagg
