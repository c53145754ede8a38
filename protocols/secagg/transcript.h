#pragma once
// SPDX-License-Identifier: Apache-2.0
// The digests that bind a sum together. Every key and every signature hangs on one of them, so parties that saw
// different things cannot complete a sum together.   Source: docs/secagg.md, "Transcript".

#include <vector>

#include "protocols/crypto/hash.h"
#include "protocols/secagg/messages.h"
#include "protocols/secagg/neighbourhoods.h"

namespace cloister::secagg {

// ctx1 binds ctx0, every signed advert (by site id), the threshold, and of a sparse graph its seed, degree and
// threshold.
Digest RosterContext(const Digest& ctx0, const std::vector<Bytes>& adverts, int threshold,
                     const std::optional<Neighbourhoods::Terms>& graph);

// ctx2 binds ctx1 and U2: which sites' shares arrived, with each one's signed root.
Digest SharersContext(const Digest& ctx1, size_t roster_size, const std::vector<size_t>& sharers,
                      const std::vector<Bytes>& share_roots);

// U3 and what each member committed to.
Digest SurvivorDigest(const Digest& ctx2, const std::vector<Bytes>& commits);

// What an advert says of b.
Digest SelfMaskCommitment(const Digest& ctx0, const SiteId& site, const crypto::SecretBytes& self_mask);

enum class ShareKind : uint8_t { kSelfMask = 1, kKey = 2 };
// What the owner publishes of one share, so that the coordinator can tell a wrong one and whose fault it is.
Digest ShareHash(const Digest& ctx1, const SiteId& owner, const SiteId& holder, ShareKind kind,
                 const ShamirShare& share);

// The leaf of `share` in the tree its owner signs.
Digest ShareLeaf(const SealedShare& share);

// Of a signed message: "CSA1/advert" ...
std::string_view DomainOf(MessageType type);
inline constexpr std::string_view kShareRootDomain = "CSA1/share-root";

}  // namespace cloister::secagg
