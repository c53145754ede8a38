#pragma once
// SPDX-License-Identifier: Apache-2.0
// The messages of CSA-1 as structs and canonical bytes. The wire carries the bytes as they are; decoding checks the
// shape only, sessions check signatures and meaning. A signed message ends in its 64-byte Ed25519 signature of all that
// precedes it, in the domain "CSA1/<name>".   Every decoder: DATA_LOSS (truncated, left over, over a limit) or
// INVALID_ARGUMENT (a bad identifier).

#include <array>
#include <optional>
#include <variant>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/secagg/shamir.h"

namespace cloister::secagg {

enum class MessageType : uint8_t {
  kAdvert = 1,     // site -> coordinator
  kRoster,         // coordinator -> sites
  kShares,         // site -> coordinator
  kShareDelivery,  // coordinator -> one site
  kMaskedCommit,   // site -> coordinator, after the masked vectors
  kSurvivorList,   // coordinator -> sites
  kConsistency,    // site -> coordinator
  kSignatureSet,   // coordinator -> sites
  kUnmask,         // site -> coordinator
};

// DATA_LOSS: empty or an unknown type.
absl::StatusOr<MessageType> TypeOf(ByteView message);
std::string_view NameOf(MessageType type);

struct Advert {
  Digest ctx0;
  SiteId site;
  Bytes channel_key;            // X25519, 32 bytes: shares travel under it
  Bytes mask_key;               // X25519, 32 bytes: pairwise masks come from it
  Digest self_mask_commitment;  // of b
  bool models_checked = false;  // this site knows that the models follow from the plan and checked sums
  Bytes certificate;            // DER, Ed25519
  Bytes signature;
};

struct Roster {
  std::vector<Bytes> adverts;  // verbatim, by site id
};

inline constexpr size_t kCheckEnvelopeBytes = 32 + 16;  // a part of the check seed under AES-256-GCM

// One share of u for v. `sealed` is empty for u itself.
struct SealedShare {
  SiteId recipient;
  Digest self_mask_hash;  // of (ctx1, u, v, share of b_u)
  Digest key_hash;        // of (ctx1, u, v, share of sk_mask_u)
  Bytes sealed;           // AES-256-GCM of both shares and the owner's part of the check seed
};

struct ShareRoot {
  Digest ctx1;
  SiteId site;
  Digest root;        // Merkle root over the leaves of all SealedShares
  Digest check_part;  // CheckSeedCommitment of the owner's part of the check seed
  Bytes signature;
};

struct Shares {
  Bytes root;                        // a ShareRoot, encoded
  std::vector<SealedShare> entries;  // in the order of the neighbourhood
  // On a sparse graph: the owner's part of the check seed, sealed for every other member of the roster, in its order,
  // kCheckEnvelopeBytes each.
  Bytes check_envelopes;
};

struct InboxEntry {
  SiteId owner;
  SealedShare share;
  std::vector<Digest> path;  // from the share's leaf to the owner's ShareRoot
};

struct ShareDelivery {
  Digest ctx1;
  std::vector<Bytes> roots;       // ShareRoots of U2, verbatim, by site id
  std::vector<InboxEntry> inbox;  // from every neighbour in U2
  Bytes check_envelopes;          // and from everybody else in U2, in its order
};

struct VectorCommit {
  Digest digest;        // SHA-256 of the masked vector's bytes (little endian): also the name of the upload
  uint64_t length = 0;  // elements
};

struct MaskedCommit {
  Digest ctx2;
  SiteId site;
  std::vector<VectorCommit> vectors;  // in the order of SumParams::vectors
  uint64_t tag = 0;                   // masked, below kFieldPrime: check_tag.h
  Bytes signature;
};

struct SurvivorList {
  Digest ctx2;
  std::vector<Bytes> commits;  // MaskedCommits of U3, verbatim, by site id
};

struct Consistency {
  Digest ctx2;
  SiteId site;
  Digest survivors;  // SurvivorDigest of the list this site saw
  Bytes signature;
};

struct SignatureSet {
  Digest ctx2;
  std::vector<Bytes> consistencies;  // verbatim, by site id
};

// Of each owner a site reveals exactly one kind of share: the type has no room for both.
struct SelfMaskShare {
  ShamirShare share;
};
struct KeyShare {
  ShamirShare share;
};
enum class RevealKind : uint8_t { kSelfMask = 1, kKey = 2 };  // as encoded
struct Reveal {
  SiteId owner;
  std::variant<SelfMaskShare, KeyShare> share;
};

struct Unmask {
  Digest ctx2;
  Digest survivors;
  SiteId site;
  std::vector<Reveal> reveals;  // by owner
  Bytes signature;
};

// The bytes that are signed: the encoding without its signature.
Bytes SignedPart(const Advert& message);
Bytes SignedPart(const ShareRoot& message);
Bytes SignedPart(const MaskedCommit& message);
Bytes SignedPart(const Consistency& message);
Bytes SignedPart(const Unmask& message);

Bytes Encode(const Advert& message);
Bytes Encode(const Roster& message);
Bytes Encode(const ShareRoot& message);
Bytes Encode(const Shares& message);
Bytes Encode(const ShareDelivery& message);
Bytes Encode(const MaskedCommit& message);
Bytes Encode(const SurvivorList& message);
Bytes Encode(const Consistency& message);
Bytes Encode(const SignatureSet& message);
Bytes Encode(const Unmask& message);

absl::StatusOr<Advert> DecodeAdvert(ByteView bytes);
absl::StatusOr<Roster> DecodeRoster(ByteView bytes);
absl::StatusOr<ShareRoot> DecodeShareRoot(ByteView bytes);
absl::StatusOr<Shares> DecodeShares(ByteView bytes);
absl::StatusOr<ShareDelivery> DecodeShareDelivery(ByteView bytes);
absl::StatusOr<MaskedCommit> DecodeMaskedCommit(ByteView bytes);
absl::StatusOr<SurvivorList> DecodeSurvivorList(ByteView bytes);
absl::StatusOr<Consistency> DecodeConsistency(ByteView bytes);
absl::StatusOr<SignatureSet> DecodeSignatureSet(ByteView bytes);
absl::StatusOr<Unmask> DecodeUnmask(ByteView bytes);

}  // namespace cloister::secagg
